import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import { newRandom } from "../../test/fuzz/random.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../core/forward.ts";
import type { Device } from "./devices.ts";
import type { HoldingChange } from "./holdings.ts";
import type { LeasedRange } from "./leases.ts";
import type { Store } from "./store.ts";

/** What a change costs must not grow with what is there. */
const FEW = 500;
const MANY = 32 * FEW;
/** Of medians of calls that take turns: what grows with the number would be 32 times as dear. */
const AT_MOST = 4;
const ROUNDS = 15;

const BELOW_PORT = 1_000;

interface Filled extends AsyncDisposable {
  readonly leases: number;
  readonly store: Store;
  readonly device: Device;
}

/** So many leases of one port each of one device; every second one ends one day. */
async function filled(leases: number): Promise<Filled> {
  const { store, path, [Symbol.asyncDispose]: end } = await temporaryStore();
  const device = await enrolDevice(store, "attic", 1);
  const database = new Database(path);
  database
    .query(
      `with recursive number(value) as (select 1 union all select value + 1 from number where value < ?)
       insert into leases (device_id, forward_id, account_id, protocol, first_port, last_port, reach, bind, expires_ms)
       select ?, 'f' || value, ?, 'tcp', ${BELOW_PORT} + value, ${BELOW_PORT} + value, 1, '*', iif(value % 2, null, 1000000)
       from number`,
    )
    .run(leases, device.id, device.accountId);
  database.close();
  return { leases, store, device, [Symbol.asyncDispose]: end };
}

function hold({ id, accountId }: Device, forwardId: string, range: LeasedRange): HoldingChange {
  const ports = [{ ...range, internalFirst: range.first }];
  const spec: RemoteSpec = {
    ...{ id: forwardId, name: forwardId, group: null, ports },
    ...{ options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: null },
  };
  const holder = { deviceId: id, forwardId, accountId, group: null, bind: "*", expiresMs: null };
  return { kind: "hold", spec, target: null, origin: "cli", claim: { ...holder, ranges: [range] } };
}

/** How much dearer it is with many than with few. */
async function ratio(act: (filled: Filled) => Promise<unknown>, rounds = ROUNDS): Promise<number> {
  await using few = await filled(FEW);
  await using many = await filled(MANY);
  const times = { few: [] as number[], many: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    for (const [name, one] of [
      ["few", few],
      ["many", many],
    ] as const) {
      const began = performance.now();
      await act(one);
      times[name].push(performance.now() - began);
    }
  }
  return medianOf(times.many) / medianOf(times.few);
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

describe("with many leases as with few", () => {
  test("a port that is taken is refused, one claim after the other", async () => {
    const claim = async ({ store, device, leases }: Filled) => {
      const port = BELOW_PORT + leases;
      const change = hold(device, "new", { protocol: "tcp", first: port, last: port });
      for (let n = 0; n < 16; n++) expect((await store.holdings.apply([change], 10))[0]?.held.first).toBe(port);
    };
    expect(await ratio(claim)).toBeLessThan(AT_MOST);
  }, 30_000);

  test("a wide range that nobody else has is granted", async () => {
    const range = { protocol: "tcp", first: 40_000, last: 60_000 } as const;
    const change = ({ store, device }: Filled) =>
      store.holdings.apply(
        Array.from({ length: 16 }, () => hold(device, "new", range)),
        10,
      );
    expect(await ratio(change)).toBeLessThan(AT_MOST);
  }, 30_000);

  test("the ends of a device's leases are written, reckoned for each lease", async () => {
    let endMs = 2_000_000;
    const change = async ({ store, device, leases }: Filled) => {
      const ends = new Map(Array.from({ length: leases }, (_, n) => [`f${n + 1}`, endMs] as const));
      endMs += 1;
      await store.holdings.apply([{ kind: "expiry", deviceId: device.id, ends }], 10);
    };
    expect(await ratio(change, 5)).toBeLessThan(AT_MOST * (MANY / FEW));
  }, 30_000);
});

const overlap = (a: LeasedRange, b: LeasedRange) => a.protocol === b.protocol && a.first <= b.last && b.first <= a.last;

test("whatever ranges are held, a claim is refused if and only if it has a port of theirs", async () => {
  await using fixture = await temporaryStore();
  const { store } = fixture;
  const device = await enrolDevice(store, "attic", 1);
  const random = newRandom(7);
  const held: LeasedRange[] = [];
  let refused = 0;
  for (let n = 0; n < 400; n++) {
    const ports = 2 ** random.below(12) + random.below(3);
    const first = 1 + random.below(65_535 - ports);
    const range = { protocol: random.below(4) === 0 ? "udp" : "tcp", first, last: first + ports - 1 } as const;
    const [conflict] = await store.holdings.apply([hold(device, `f${n}`, range)], 10);
    const taken = held.some((other) => overlap(other, range));
    expect([n, range, conflict != null]).toEqual([n, range, taken]);
    if (taken) refused++;
    else held.push(range);
  }
  expect(Math.min(refused, held.length)).toBeGreaterThan(100);
}, 30_000);
