import { describe, expect, test } from "bun:test";
import { DEFAULT_OPTIONS, type ForwardSpec } from "../../core/forward.ts";
import type { Allows } from "../../dataplanes/direct/exit.ts";
import type { AssignedForward } from "../../wire/tunnel/control.ts";
import { AssignedForwards } from "./assigned.ts";
import type { Held } from "./held.ts";

function assigned(id: string, to: string, port = 80, last = port): AssignedForward {
  const ports = [{ protocol: "tcp" as const, first: 8000, last: 8000 + last - port, internalFirst: port }];
  return { spec: { id, name: id, group: null, ports, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: null }, to };
}

/** An agent of this owner: 10.0.0.1 is allowed, up to port 443. */
function agent(parts: { managed?: boolean; own?: readonly string[]; names?: Record<string, readonly string[]> } = {}) {
  const held = new Map<string, Pick<Held, "origin">>((parts.own ?? []).map((id) => [id, { origin: "config" }]));
  const declined = new Map<string, string>();
  const allows: Allows = {
    name: (host, port) => (host === "10.0.0.1" || Number.isNaN(Number(host.replaceAll(".", "")))) && port <= 443,
    address: (_host, address, port) => address === "10.0.0.1" && port <= 443,
  };
  const waiting: (() => void)[] = [];
  const forwards = new AssignedForwards({
    forwards: {
      get: (id) => held.get(id) as Held | undefined,
      list: () => held.entries() as Iterable<[string, Held]>,
      async put(spec: ForwardSpec) {
        if (spec.kind === "remote") held.set(spec.remote.id, { origin: "api" });
        return {} as Held;
      },
      remove: (id) => held.delete(id),
    },
    resolver: {
      known: () => null,
      async resolve(host) {
        if (host === "slow.example") await new Promise<void>((resolve) => waiting.push(resolve));
        return parts.names?.[host] ?? (/^[\d.]+$/.test(host) ? [host] : []);
      },
    },
    isManaged: () => parts.managed ?? true,
    allows,
    decline: (id, message) => declined.set(id, message),
  });
  return {
    declined,
    held: () => [...held].map(([id, { origin }]) => `${id} ${origin}`),
    tell: (...list: readonly AssignedForward[]) =>
      forwards.onMessage({ t: "assigned", part: 0, last: true, forwards: list }),
    goOn: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

describe("what an agent takes up", () => {
  test.each<[string, AssignedForward, Parameters<typeof agent>[0], RegExp | null]>([
    ["what is allowed", assigned("a", "10.0.0.1"), {}, null],
    [
      "nothing, when it is not managed",
      assigned("a", "10.0.0.1"),
      { managed: false },
      /^it takes no forwards from its relay/,
    ],
    ["not another host", assigned("a", "10.0.0.2"), {}, /does not have 10\.0\.0\.2, port 80\.$/],
    ["not a range that goes beyond", assigned("a", "10.0.0.1", 440, 450), {}, /does not have 10\.0\.0\.1, port 450\.$/],
    ["a name that leads there", assigned("a", "db"), { names: { db: ["10.0.0.1"] } }, null],
    [
      "a name that leads there among others: each visit is judged",
      assigned("a", "db"),
      { names: { db: ["10.0.0.9", "10.0.0.1"] } },
      null,
    ],
    [
      "not a name that leads elsewhere",
      assigned("a", "db"),
      { names: { db: ["10.0.0.9"] } },
      /does not have db, port 80\.$/,
    ],
    ["a name that does not resolve now", assigned("a", "db"), {}, null],
    [
      "not over one of its own",
      assigned("a", "10.0.0.1"),
      { own: ["a"] },
      /^it has a forward of its own by that id\.$/,
    ],
  ])("%s", async (_name, one, parts, why) => {
    const { tell, held, declined } = agent(parts);
    expect(await tell(one)).toBe(true);
    expect(held().includes("a api")).toBe(why === null);
    if (why === null) expect(declined.size).toBe(0);
    else expect(declined.get("a")).toMatch(why);
  });

  test("what is assigned no more is dropped, and its own stays", async () => {
    const { tell, held } = agent({ own: ["mine"] });
    await tell(assigned("a", "10.0.0.1"), assigned("b", "10.0.0.1"));
    await tell(assigned("b", "10.0.0.1"));
    expect(held()).toEqual(["mine config", "b api"]);
    await tell();
    expect(held()).toEqual(["mine config"]);
  });

  test("of two lists the later counts, however long the names of the first take", async () => {
    const { tell, held, goOn } = agent();
    const first = tell(assigned("a", "slow.example"));
    await tell(assigned("b", "10.0.0.1"));
    goOn();
    await first;
    expect(held()).toEqual(["b api"]);
  });

  test("a part out of turn is the relay's fault", async () => {
    const forwards = new AssignedForwards({} as never);
    expect(await forwards.onMessage({ t: "assigned", part: 3, last: true, forwards: [] })).toBe(false);
  });
});
