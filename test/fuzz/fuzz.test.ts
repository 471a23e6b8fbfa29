import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { codecs } from "./codecs.ts";
import { newMutator } from "./mutate.ts";
import { newRandom } from "./random.ts";

const RUN = join(import.meta.dir, "run.ts");
const BROKEN = join(import.meta.dir, "../fixtures/fuzz/broken-codecs.ts");

async function run(...args: string[]) {
  const child = Bun.spawn([process.execPath, RUN, ...args], { stdout: "pipe", stderr: "pipe" });
  const [out, error, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, error, exitCode };
}

describe("the mutator", () => {
  test("the same seed gives the same inputs, another seed others", () => {
    const inputs = (seed: number) => {
      const mutator = newMutator([new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])], newRandom(seed));
      return Array.from({ length: 200 }, () => Buffer.from(mutator.next()).toString("hex"));
    };
    expect(inputs(1)).toEqual(inputs(1));
    expect(inputs(1)).not.toEqual(inputs(2));
    expect(new Set(inputs(1)).size).toBeGreaterThan(150);
  });
  test("an empty seed is no obstacle", () => {
    const mutator = newMutator([new Uint8Array()], newRandom(1));
    expect(Array.from({ length: 200 }, () => mutator.next()).some((input) => input.length > 0)).toBe(true);
  });
});

describe("the runner", () => {
  test("passes a sound codec, with the counts it was asked for", async () => {
    const { out, exitCode } = await run("--table", BROKEN, "--codec", "sound", "--mutations", "1000", "--seed", "7");
    expect(out).toMatch(/^ok {4}sound +1000 mutations +100 % taken .* seed 7\n$/);
    expect(exitCode).toBe(0);
  });
  test("finds a planted failure, prints the input, and repeats it from the hex", async () => {
    const first = await run("--table", BROKEN, "--codec", "throws", "--mutations", "100000", "--seed", "1");
    expect(first.exitCode).toBe(1);
    const input = /input \(hex\): (ff[0-9a-f]*)\n/.exec(first.out)?.[1] ?? "none";
    const again = await run("--table", BROKEN, "--codec", "throws", "--mutations", "100000", "--seed", "1");
    expect(again.out).toBe(first.out);
    const replay = await run("--table", BROKEN, "--codec", "throws", "--input", input);
    expect(replay.exitCode).toBe(1);
    expect(replay.out).toContain("planted");
  });
  test("finds a planted hang", async () => {
    const { out, exitCode } = await run("--table", BROKEN, "--codec", "hangs", "--mutations", "100000", "--seed", "1");
    expect(out).toContain("no answer to one input within");
    expect(out).toContain("input (hex): \n");
    expect(exitCode).toBe(1);
  }, 30_000);
  test("an unknown codec is told the names; a bad number is told", async () => {
    const unknown = await run("--codec", "nothing");
    expect(unknown.exitCode).toBe(2);
    expect(unknown.error).toContain("port-set");
    expect((await run("--seed", "x")).exitCode).toBe(2);
  });
});

describe("the table", () => {
  test("names are unique", () => {
    expect(new Set(codecs.map(({ name }) => name)).size).toBe(codecs.length);
  });
  for (const codec of codecs) {
    test(`${codec.name}: its seeds hold, some are taken`, () => {
      expect(codec.seeds.map((seed) => codec.check(seed))).toContain(true);
    });
  }
});
