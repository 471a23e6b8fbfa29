import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { commandGroupsFor } from "../../src/cli/commands.ts";
import { allCommands, describeProgram } from "../../src/cli/reference/tree.ts";
import { outcome } from "../fixtures/fake-world.ts";

/** roff puts two blanks behind a sentence, and fills paragraphs. */
const words = (text: string) => text.replaceAll(/\s+/g, " ");

/** hatchway(1), against the commands and the programs that show it. */
let page: string;
let plain: string;

function show(argv: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), "hatchway-man-"));
  const file = join(directory, "hatchway.1");
  writeFileSync(file, page);
  const [program = "", ...args] = argv;
  const env = { ...process.env, MANWIDTH: "500", LC_ALL: "C.UTF-8", MAN_KEEP_FORMATTING: "" };
  const ran = spawnSync(program, [...args, file], { encoding: "utf8", timeout: 20_000, env });
  rmSync(directory, { recursive: true });
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}

beforeAll(async () => {
  const { code, out } = await outcome(["man"]);
  expect(code).toBe(0);
  page = out;
  plain = show(["groff", "-man", "-Kutf8", "-Tutf8", "-P-cbou", "-rLL=5000n"]).out;
});

describe("the page is what man reads", () => {
  test.each([
    ["man", ["man", "--warnings", "-l"]],
    ["groff, with every warning", ["groff", "-ww", "-man", "-Kutf8", "-Tutf8"]],
  ])("%s has nothing to say about it", (_what, argv) => {
    const { status, out, err } = show(argv);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("hatchway - self-hosted port forwarding");
  });

  test("no line of it is a request by chance", () => {
    const requests = new Set(page.split("\n").flatMap((line) => line.match(/^[.'](\w*)/)?.[1] ?? []));
    expect([...requests].toSorted()).toEqual(["B", "I", "PP", "SH", "TH", "TP", "ad", "br", "fi", "nf", "nh", "sp"]);
  });
});

test("every command is in it with its options, arguments and examples", async () => {
  const program = new Command("hatchway");
  for (const { commands } of commandGroupsFor([])) {
    for (const load of commands) (await load())(program, async () => {});
  }
  const shown = words(plain);
  const missing = allCommands(describeProgram(program))
    .filter(({ path }) => path !== "" && !path.endsWith("help"))
    .flatMap(({ path, usage, description, options, after }) => {
      const examples = after.split("\n").filter((line) => line.startsWith("  hatchway "));
      const texts = [usage, description, ...options.map(({ flags }) => flags), ...examples.map((line) => line.trim())];
      return texts.filter((text) => !shown.includes(words(text))).map((text) => `${path}: ${text}`);
    });
  expect(missing).toEqual([]);
});
