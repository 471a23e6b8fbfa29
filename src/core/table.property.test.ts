import { expect, test } from "bun:test";
import fc from "fast-check";
import { type HeldForward, mayShare } from "./held.ts";
import { mappings, remoteSpec } from "./table.fixture.ts";
import { ForwardTable } from "./table.ts";

const HOUR_MS = 3_600_000;
const ACCOUNT_OF: Record<string, string> = { a1: "ann", a2: "ann", b1: "bob" };
const MAX_PORT = 24;

const device = fc.constantFrom("a1", "a2", "b1");
const id = fc.constantFrom("x", "y", "z");
const range = fc
  .tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 0, max: 8 }), fc.constantFrom("tcp", "udp"))
  .map(([first, extra, protocol]) => `${first}-${first + extra}/${protocol}`);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      device,
      id,
      ranges: fc.array(range, { minLength: 1, maxLength: 2 }),
      group: fc.constantFrom(null, null, "g", "h"),
      lifetimeSec: fc.constantFrom(null, 0, 60, 600),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), device, id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("removeDevice" as const), device }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("back" as const), device }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("gone" as const), device }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("expire" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);
const elapsedMs = fc.oneof(fc.integer({ min: 0, max: 120_000 }), fc.constantFrom(HOUR_MS, -HOUR_MS));

/** Everyone who holds a port, read from the forwards themselves rather than from the index. */
function holders(table: ForwardTable, protocol: "tcp" | "udp", port: number): HeldForward[] {
  return [...table.list()].filter((forward) =>
    forward.spec.ports.some((m) => m.protocol === protocol && m.first <= port && port <= m.last),
  );
}

function check(table: ForwardTable): void {
  let total = 0;
  for (const protocol of ["tcp", "udp"] as const) {
    for (let port = 1; port <= MAX_PORT; port++) {
      const found = table.at(protocol, port);
      const expected = holders(table, protocol, port);
      expect(new Set(found)).toEqual(new Set(expected));
      for (const one of found) for (const other of found) if (one !== other) expect(mayShare(one, other)).toBe(true);
      total += found.length;
    }
  }
  const forwards = [...table.list()];
  expect(table.size).toBe(forwards.length);
  expect(forwards.reduce((sum, forward) => sum + forward.external.count, 0)).toBe(total);
  const ends = forwards.map((forward) => table.leaseEndMs(forward)).filter((end) => end !== null);
  expect(table.nextDeadlineMs()).toBe(ends.length === 0 ? null : Math.min(...ends));
  for (const forward of forwards) {
    const mustEnd = !table.isConnected(forward.owner.device) && forward.spec.lifetimeSec !== null;
    expect(table.leaseEndMs(forward) !== null).toBe(mustEnd);
  }
}

test("no port is ever held twice, and none is lost while its device is connected, whatever happens and however the clock jumps", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(elapsedMs, step), { maxLength: 50 }), (steps) => {
      let table = new ForwardTable();
      let nowMs = 10 * HOUR_MS;
      for (const [elapsed, action] of steps) {
        nowMs += elapsed;
        switch (action.kind) {
          case "put": {
            const owner = { account: ACCOUNT_OF[action.device]!, device: action.device };
            const spec = remoteSpec(action.id, mappings(...action.ranges), action);
            const before = table.get(action.device, action.id);
            const outcome = table.put(owner, { ...spec, id: action.id }, "*", nowMs);
            if (!outcome.ok) expect(table.get(action.device, action.id)).toBe(before);
            if (!outcome.ok && outcome.error.kind === "conflict") {
              const { taken, holder } = outcome.error;
              if (typeof taken === "string") throw new Error("no forward here has a name");
              expect<unknown[]>([...table.at(taken.protocol, taken.port)]).toContain(holder);
            }
            break;
          }
          case "remove":
            table.remove(action.device, action.id);
            break;
          case "removeDevice":
            table.removeDevice(action.device);
            break;
          case "back":
            table.deviceBack(action.device);
            break;
          case "gone":
            table.deviceGone(action.device, nowMs);
            break;
          case "expire":
            for (const forward of table.expire(nowMs)) {
              expect(table.isConnected(forward.owner.device)).toBe(false);
              expect(forward.spec.lifetimeSec).not.toBeNull();
            }
            break;
          case "restart": {
            const rows = [...table.list()];
            table = new ForwardTable();
            expect(table.restore(rows, nowMs)).toEqual([]);
            expect(table.size).toBe(rows.length);
            break;
          }
        }
        check(table);
      }
    }),
    { numRuns: 150 },
  );
});
