import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Io } from "../../src/cli/context.ts";
import { runProgram } from "../../src/cli/program.ts";
import type { ExposeEvent } from "../../src/roles/control.ts";
import { EXIT_CODES } from "../../src/servers/local/error.ts";
import { FakeAgent } from "../../src/servers/local/fake-control.ts";
import { serveAgentControl } from "../../src/servers/local/server.ts";
import { commandLines, readDocument, recipes, wordsOf } from "../fixtures/documents.ts";
import { dataDirectories, fakeWorld, outcome } from "../fixtures/fake-world.ts";

/** The recipes, and those of the README: their commands are run, against parts that open nothing. */
const { joinedData, remove } = dataDirectories();
afterAll(remove);

/** In blocks, and within sentences. */
const lines = ["README.md", ...recipes()].flatMap((path) => {
  const text = readDocument(path);
  const inline = [...text.matchAll(/`hatchway ([a-z][^`]*)`/g)].map(([, line = ""]) => line);
  return [...commandLines(text), ...inline].map((line) => [line, path] as const);
});
const opening = lines.filter(([line]) => /^(expose|connect|forward add|map) (?!ls\b|rm\b)/.test(line));
/** Whose device is named, only a relay knows. */
const AT_THE_RELAY = /--device /;

/** Runs a command beside an agent until its ports are open. */
async function run(args: readonly string[]) {
  const data = await joinedData();
  const agent = serveAgentControl(new FakeAgent(), { path: join(data, "agent.sock"), onUnexpected: () => {} });
  const world = fakeWorld();
  const roles: Io["roles"] = {
    ...world.io.roles,
    exposeByBestWay: async () =>
      async function* (options, signal): AsyncGenerator<ExposeEvent> {
        yield* options.agent.attach([options.remote], signal);
      },
  };
  const ended = runProgram([...args, "--data", data], { ...world.io, roles });
  await Promise.race([world.lines(1), ended]);
  world.stopped.abort();
  const code = await ended;
  await agent.close();
  return { code, out: world.stdout(), err: world.stderr() };
}

describe("commands that open ports are right", () => {
  test.each(opening.filter(([line]) => !AT_THE_RELAY.test(line)))("hatchway %s (%s)", async (line) => {
    const { code, out, err } = await run(wordsOf(line));
    // The fake relay gives out no ports below 1024: that is its answer to a command that was right.
    const isRight = code === EXIT_CODES.ok ? out !== "" : err.includes("does not give out ports below 1024");
    expect({ isRight, code, err }).toEqual({ isRight: true, code, err });
  });

  test("there are many, and few are for a relay", () => {
    expect(opening.length).toBeGreaterThan(50);
    expect(opening.filter(([line]) => AT_THE_RELAY.test(line)).length).toBeLessThan(3);
  });
});

describe("what is said to be refused is refused", () => {
  test.each(["rdp", "vnc", "ip-camera", "hikvision", "dahua"])("forward add %s without --allow", async (id) => {
    const { code, err } = await run(["forward", "add", id]);
    expect({ code, err }).toEqual({ code: EXIT_CODES.usage, err: expect.stringContaining("--allow") });
  });
});

test.each(lines.filter(([line]) => line.startsWith("presets")))("hatchway %s finds something (%s)", async (line) => {
  expect((await outcome(wordsOf(line))).out).toStartWith("ID ");
});

describe("every page", () => {
  const pages = recipes().filter((path) => !path.endsWith("README.md"));

  test.each(pages)("%s is in the list", (path) => {
    expect(readDocument("docs/recipes/README.md")).toContain(`(${path.replace("docs/recipes/", "")})`);
  });

  test.each(pages)("%s says how to see that it works, and what is dangerous", (path) => {
    const text = readDocument(path);
    expect(text).toMatch(/^## Does it work\?\n[\s\S]*```sh[^\n]*\n(# .*\n)?hatchway /m);
    expect(text).toMatch(/^## (What is dangerous|What to know|With a public port, for known addresses)$/m);
  });

  test("there is one for each use", () => expect(pages.length).toBeGreaterThanOrEqual(13));
});
