import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { ROOT, readDocument } from "../fixtures/documents.ts";
import { runnableBlocks } from "../fixtures/runnable-blocks.ts";
import { DocsWorld } from "./docs-world.ts";

setDefaultTimeout(60_000);

/** The command blocks of the documents that are marked as runnable, each page's in their order. */
const PAGES = ["README.md", ...new Bun.Glob("docs/**/*.md").scanSync(ROOT)].toSorted().map((path) => ({
  path,
  blocks: runnableBlocks(readDocument(path)),
}));
const runnable = PAGES.filter(({ blocks }) => blocks.length > 0);
let world: DocsWorld;

beforeAll(async () => {
  mkdirSync("/run/wireguard", { recursive: true });
  world = await DocsWorld.open();
});
afterEach(() => world.tidy());
afterAll(() => world[Symbol.asyncDispose]());

describe("what the documents show can be done", () => {
  test.each(runnable.map(({ path, blocks }) => [path, blocks] as const))("%s", async (path, blocks) => {
    for (const block of blocks) {
      try {
        await world.run(block);
      } catch (error) {
        throw new Error(`${path}:${block.line}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  });
});

test.each([
  ["fails", "false\n", null, "exit code 1 of"],
  ["fails in its middle", "false\ntrue\n", null, "exit code 1 of"],
  ["prints something else", "echo 8840 is open\n", "… is closed\n", "the block printed"],
  ["does not open its ports", "hatchway expose 99999\n", null, "hatchway expose 99999 ended"],
] as const)("a block that %s is told", async (_, text, output, says) => {
  const block = { line: 1, machine: "attic", exits: [], text, output } as const;
  await expect(world.run(block)).rejects.toThrow(says);
});

test("a good part of them is", () => {
  expect(runnable.flatMap(({ blocks }) => blocks).length).toBeGreaterThan(30);
});
