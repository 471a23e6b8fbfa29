import { describe, expect, test } from "bun:test";
import { Turns } from "./turns.ts";

/** Work that lasts until it is ended, and tells its order. */
function newStage(limits = { total: 100, perClient: 10 }) {
  const turns = new Turns(limits);
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const lasting = (name: string) => () => {
    log.push(`${name} begins`);
    const { promise, resolve } = Promise.withResolvers<void>();
    ends.set(name, resolve);
    return promise.then(() => void log.push(`${name} ends`));
  };
  const take = (client: string, name: string) => turns.take(client, name, lasting(name));
  const end = async (name: string) => {
    ends.get(name)?.();
    // The end of the work, and what follows it in the line.
    await new Promise(setImmediate);
  };
  return { turns, log, take, end };
}

describe("turns", () => {
  test("a client's requests are done in order, one at a time; clients do not wait for one another", async () => {
    const { turns, log, take, end } = newStage();
    expect([take("a", "a1"), take("a", "a2"), take("b", "b1")]).toEqual(["taken", "taken", "taken"]);
    turns.take("a", "quick", () => {
      log.push("quick");
      return null;
    });
    expect(log).toEqual(["a1 begins", "b1 begins"]);
    await end("b1");
    await end("a1");
    await end("a2");
    expect(log).toEqual(["a1 begins", "b1 begins", "b1 ends", "a1 ends", "a2 begins", "a2 ends", "quick"]);
    expect(turns.total).toBe(0);
  });
  test("a request that comes again is done once while it waits or is at work, and anew afterwards", async () => {
    const { log, take, end } = newStage();
    expect([take("a", "a1"), take("a", "a2")]).toEqual(["taken", "taken"]);
    expect([take("a", "a1"), take("a", "a2")]).toEqual(["repeated", "repeated"]);
    await end("a1");
    expect(take("a", "a1")).toBe("taken");
    await end("a2");
    expect(log.filter((line) => line.endsWith("begins"))).toEqual(["a1 begins", "a2 begins", "a1 begins"]);
    expect(take("b", "a1")).toBe("taken");
  });
  test("both bounds hold, and room comes back", async () => {
    const { turns, take, end } = newStage({ total: 3, perClient: 2 });
    expect([take("a", "1"), take("a", "2"), take("a", "3")]).toEqual(["taken", "taken", "full"]);
    expect([take("b", "4"), take("c", "5")]).toEqual(["taken", "full"]);
    await end("1");
    expect([take("c", "5"), turns.total]).toEqual(["taken", 3]);
  });
  test("ten thousand quick ones leave nothing", () => {
    const turns = new Turns();
    for (let n = 0; n < 10_000; n++) expect(turns.take(`${n}`, "x", () => null)).toBe("taken");
    expect(turns.total).toBe(0);
  });
});
