import { expect, test } from "bun:test";
import { Turns } from "./turns.ts";

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Work that ends when it is told to; `begun` lists the names in the order of beginning. */
function works(turns: Turns) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (key: string, name: string) =>
    turns.run(key, async () => {
      begun.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      return name;
    });
  const end = async (name: string) => {
    ends.get(name)?.();
    await settled();
  };
  return { begun, start, end };
}

test("one key has one at a time, another key does not wait for it", async () => {
  const { begun, start, end } = works(new Turns({ atOnce: 2, most: 10, mostPerKey: 3 }));
  const results = [start("a", "a1"), start("a", "a2"), start("b", "b1"), start("c", "c1")];
  await settled();
  expect(begun).toEqual(["a1", "b1"]);
  await end("b1");
  expect(begun).toEqual(["a1", "b1", "c1"]);
  await end("a1");
  expect(begun).toEqual(["a1", "b1", "c1", "a2"]);
  await end("a2");
  await end("c1");
  expect(await Promise.all(results)).toEqual(["a1", "a2", "b1", "c1"].map((value) => ({ value })));
});

test("too many are turned away, and room that is free again is used", async () => {
  const turns = new Turns({ atOnce: 1, most: 3, mostPerKey: 2 });
  const { start, end } = works(turns);
  const first = start("a", "a1");
  const second = start("a", "a2");
  expect(await start("a", "a3")).toBeNull();
  const third = start("b", "b1");
  expect(await start("c", "c1")).toBeNull();
  await settled();
  for (const name of ["a1", "a2", "b1"]) await end(name);
  expect(await Promise.all([first, second, third])).toHaveLength(3);
  const late = start("c", "c2");
  await settled();
  await end("c2");
  expect(await late).toEqual({ value: "c2" });
});

test("work that fails gives its turn back", async () => {
  const turns = new Turns({ atOnce: 1, most: 2, mostPerKey: 1 });
  await expect(turns.run("a", () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(await turns.run("a", async () => 1)).toEqual({ value: 1 });
});
