import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A program of two files with the real bin and scripts, which says what it is and where it was read from. */
const ROOT = join(import.meta.dir, "../..");
const MAIN = `import { WORD } from "./cli/word.ts";
console.log(WORD, new Error().stack.includes("/.cache/") ? "bundled" : "src");
`;
const root = mkdtempSync(join(tmpdir(), "hatchway-launch-"));
const at = (path: string) => join(root, path);
const WORD = at("src/cli/word.ts");
const BUNDLES = at("node_modules/.cache/hatchway");
const write = (path: string, text: string) => Bun.write(path, text);

async function run(script: string): Promise<string> {
  const child = Bun.spawn([process.execPath, "--no-env-file", at(script)], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(err).toBe("");
  expect(await child.exited).toBe(0);
  return out.trim();
}

/** Takes a second: a bundle is not made of files that changed just now. */
async function bundled(): Promise<void> {
  await run("scripts/bundle.ts");
  expect(await run("bin/launch.ts")).toEndWith("bundled");
}

beforeAll(async () => {
  for (const path of ["bin/launch.ts", "bin/bundle-path.ts", "scripts/bundle.ts"]) cpSync(join(ROOT, path), at(path));
  mkdirSync(at("src/cli"), { recursive: true });
  await write(at("src/main.ts"), MAIN);
  await write(WORD, 'export const WORD = "one";\n');
  await write(at("package.json"), "{}");
  await write(at("node_modules/.package-lock.json"), "{}");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("bin/launch.ts", () => {
  test("runs src while there is no bundle", async () => {
    expect(await run("bin/launch.ts")).toBe("one src");
  });

  test.each<[string, () => unknown, string]>([
    [
      "a file of the same size and mtime",
      async () => {
        const { atime, mtime } = statSync(WORD);
        await write(WORD, 'export const WORD = "two";\n');
        utimesSync(WORD, atime, mtime);
      },
      "two src",
    ],
    [
      "an older file in a file's place",
      async () => {
        await write(at("other.ts"), 'export const WORD = "old";\n');
        utimesSync(at("other.ts"), 1, 1);
        renameSync(at("other.ts"), WORD);
      },
      "old src",
    ],
    ["a new file", () => write(at("src/new.ts"), ""), "old src"],
    ["a file that went", () => rmSync(at("src/new.ts")), "old src"],
    ["another package.json", () => write(at("package.json"), "{ }"), "old src"],
    ["an install", () => write(at("node_modules/.package-lock.json"), "{ }"), "old src"],
    ["no list of packages", () => rmSync(at("node_modules/.package-lock.json")), "old src"],
  ])(
    "runs src after %s, and the bundle when it was made again",
    async (_what, change, says) => {
      await bundled();
      await change();
      expect(await run("bin/launch.ts")).toBe(says);
      await bundled();
      expect(readdirSync(BUNDLES)).toHaveLength(1);
    },
    20_000,
  );

  test("runs src when the bundle is gone", async () => {
    await bundled();
    rmSync(BUNDLES, { recursive: true });
    expect(await run("bin/launch.ts")).toBe("old src");
    expect(existsSync(BUNDLES)).toBe(false);
  });
});
