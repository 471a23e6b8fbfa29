import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exampleEvent, exampleForward } from "../../src/core/events.fixture.ts";
import { EVENT_KINDS } from "../../src/core/events.ts";
import { hookVariables } from "../../src/core/hooks.ts";
import { GluetunEntry, gluetunSettings, HookEntry, hookSettings } from "../../src/roles/config/hooks.ts";
import { signature } from "../../src/roles/hooks/webhook.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";

/** docs/hooks.md against the program. */
const ROOT = join(import.meta.dir, "../..");
const HOOKS = readFileSync(join(ROOT, "docs/hooks.md"), "utf8");

function blocks(language: string): string[] {
  return [...HOOKS.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text = ""]) => text);
}

/** What the first cells of the document's tables name between backticks, in tables whose head begins with `head`. */
function firstCells(head: string): string[] {
  const tables = HOOKS.split("\n\n").filter((part) => part.startsWith(`| ${head} |`));
  return tables.flatMap((table) =>
    table
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)),
  );
}

test("the configurations are right", () => {
  const beside = (path: string) => path;
  const wrong = blocks("toml").flatMap((text) => {
    const { hook = [], gluetun } = Bun.TOML.parse(text) as { hook?: unknown[]; gluetun?: unknown };
    const made = hook.map((one, n) => hookSettings(HookEntry.parse(one), n + 1, beside));
    if (gluetun === undefined) return made.filter(({ ok }) => !ok);
    return [...made, gluetunSettings(GluetunEntry.parse(gluetun), beside)].filter(({ ok }) => !ok);
  });
  expect(wrong).toEqual([]);
  expect(blocks("toml").length).toBeGreaterThan(3);
});

test("every key is described, and no other", () => {
  const hook = [...firstCells("key"), "url", "key-file"];
  expect(hook.toSorted()).toEqual(Object.keys(HookEntry.shape).toSorted());
  expect(firstCells("key of `[gluetun]`").toSorted()).toEqual(Object.keys(GluetunEntry.shape).toSorted());
});

test("every variable is described, and no other", () => {
  const device = exampleForward({ owner: { kind: "device", id: "d1", name: "attic" } });
  const events = [exampleEvent(), exampleEvent({ event: "closed", reason: "expired", forward: device })];
  const names = events.flatMap((event) => Object.keys(hookVariables(event, { vpnInterface: "wg0", missed: 0 })));
  expect(firstCells("variable").toSorted()).toEqual([...new Set(names)].toSorted());
});

test("the event shown has the fields of a real one, and all of them are described", () => {
  const [shown = ""] = blocks("json");
  const real = exampleEvent({ event: "closed", reason: "expired" });
  const parsed = JSON.parse(shown) as typeof real;
  expect(Object.keys(parsed)).toEqual(Object.keys(real));
  expect(Object.keys(parsed.forward)).toEqual(Object.keys(real.forward));
  expect(firstCells("field").toSorted()).toEqual(Object.keys(real).toSorted());
  expect(firstCells("field of `forward`").toSorted()).toEqual(Object.keys(real.forward).toSorted());
  for (const kind of EVENT_KINDS) expect(HOOKS).toContain(`\`${kind}\``);
});

describe("the signature's checks", () => {
  const key = "sixteen letters!";
  const body = JSON.stringify(exampleEvent({ forward: exampleForward({ name: "Ünïcode ✓" }) }));
  const nowSec = 1_700_000_000;
  const good = signature(key, nowSec, body);
  const cases: readonly (readonly [string | null, string, number, boolean])[] = [
    [good, body, nowSec, true],
    [good, body, nowSec + 299, true],
    [good, body, nowSec + 301, false],
    [good, `${body} `, nowSec, false],
    [good.replace("t=1700000000", "t=1700000001"), body, nowSec, false],
    [signature("another key of 16", nowSec, body), body, nowSec, false],
    ["t=1700000000,v1=", body, nowSec, false],
    [`${good}0`, body, nowSec, false],
    [null, body, nowSec, false],
  ];
  const expected = cases.map(([, , , holds]) => holds);

  const run = async (program: string, file: string, text: string): Promise<unknown> => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, file);
    writeFileSync(path, text);
    const child = Bun.spawnSync([program, path], { stdin: Buffer.from(JSON.stringify({ key, cases })) });
    expect(child.stderr.toString()).toBe("");
    return JSON.parse(child.stdout.toString());
  };

  test("Node", async () => {
    const read = `import { readFileSync } from "node:fs";\nconst { key, cases } = JSON.parse(readFileSync(0, "utf8"));\n`;
    const say =
      "console.log(JSON.stringify(cases.map(([header, body, now]) => isFromHatchway(key, header, Buffer.from(body), now))));";
    expect(await run("node", "check.mjs", `${blocks("js")[0]}\n${read}${say}`)).toEqual(expected);
  });

  test("Python", async () => {
    const say = `import json, sys
given = json.load(sys.stdin)
print(json.dumps([is_from_hatchway(given["key"], h, b.encode(), n) for h, b, n, _ in given["cases"]]))
`;
    expect(await run("python3", "check.py", `${blocks("python")[0]}\n${say}`)).toEqual(expected);
  });
});
