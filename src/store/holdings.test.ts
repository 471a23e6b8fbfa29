import { describe, expect, test } from "bun:test";
import { enrolDevice, temporaryStore } from "../../test/fixtures/store.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../core/forward.ts";
import type { HoldingChange } from "./holdings.ts";

const NOW_MS = 10_000;

function spec(id: string, port: number): RemoteSpec {
  const ports = [{ protocol: "tcp", first: port, last: port, internalFirst: 80 }] as const;
  return { id, name: id, group: null, ports, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: 600 };
}

function hold(device: { readonly id: string; readonly accountId: string }, id: string, port: number): HoldingChange {
  const ranges = [{ protocol: "tcp", first: port, last: port }] as const;
  const holder = { deviceId: device.id, forwardId: id, accountId: device.accountId, group: null };
  return {
    kind: "hold",
    spec: spec(id, port),
    origin: "cli",
    claim: { ...holder, bind: "*", expiresMs: null, ranges },
  };
}

describe("holdings", () => {
  test("many changes are carried out in their order", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const device = await enrolDevice(store, "web1", 1);
    const release = { kind: "release", deviceId: device.id, forwardId: "a" } as const;
    const outcomes = await store.holdings.apply([hold(device, "a", 80), release, hold(device, "b", 80)], NOW_MS);
    expect(outcomes).toEqual([null, null, null]);
    expect((await store.forwards.list()).map((row) => row.spec.id)).toEqual(["b"]);
    expect((await store.leases.list(NOW_MS)).map(({ forwardId, first }) => [forwardId, first])).toEqual([["b", 80]]);
  });

  test("a port that another device holds keeps that one change out, and only that one", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const one = await enrolDevice(store, "web1", 1);
    const two = await enrolDevice(store, "web2", 2);
    const changes = [hold(one, "a", 80), hold(two, "b", 80), hold(two, "c", 81)];
    const outcomes = await store.holdings.apply(changes, NOW_MS);
    expect(outcomes.map((outcome) => outcome?.held.forwardId ?? null)).toEqual([null, "a", null]);
    expect((await store.forwards.list()).map((row) => row.spec.id).sort()).toEqual(["a", "c"]);
  });

  test("what has expired is free", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const one = await enrolDevice(store, "web1", 1);
    const two = await enrolDevice(store, "web2", 2);
    await store.holdings.apply([hold(one, "a", 80)], NOW_MS);
    const ends = new Map([["a", NOW_MS + 1_000]]);
    await store.holdings.apply([{ kind: "expiry", deviceId: one.id, ends }], NOW_MS);
    expect((await store.holdings.apply([hold(two, "b", 80)], NOW_MS + 999))[0]?.held.forwardId).toBe("a");
    expect(await store.holdings.apply([hold(two, "b", 80)], NOW_MS + 1_000)).toEqual([null]);
  });

  test("nothing is kept of a batch that fails", async () => {
    await using fixture = await temporaryStore();
    const { store } = fixture;
    const device = await enrolDevice(store, "web1", 1);
    const stranger = { id: "nobody", accountId: device.accountId };
    const failing = store.holdings.apply([hold(device, "a", 80), hold(stranger, "b", 81)], NOW_MS);
    expect(failing).rejects.toThrow("FOREIGN KEY");
    await failing.catch(() => undefined);
    expect(await store.forwards.list()).toEqual([]);
    expect(await store.leases.list(NOW_MS)).toEqual([]);
  });
});
