import { describe, expect, test } from "bun:test";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { ask } from "../../../test/fixtures/services.ts";
import { enrolDevice, temporaryStore } from "../../../test/fixtures/store.ts";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../../core/forward.ts";
import { newEntryPorts } from "../../core/table.ts";
import { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import { StoreFailure } from "../../store/failure.ts";
import type { Store } from "../../store/store.ts";
import { RelayEntries } from "./entries.ts";
import { RelayForwards } from "./forwards.ts";

const HANDLE = 1;
const HOUR_MS = 3_600_000;

/** A relay's forwards on a real store and real listeners, with a clock that the test moves, and a disk that may be full. */
async function forwardsLab() {
  const fixture = await temporaryStore();
  const ports = await freePorts(4);
  const abort = new AbortController();
  const clock = { nowMs: 0 };
  const disk = { full: false };
  const warnings: string[] = [];
  const store: Store = {
    ...fixture.store,
    holdings: {
      apply: (changes, nowMs) =>
        disk.full
          ? Promise.reject(new StoreFailure("disk-full", "The disk is full."))
          : fixture.store.holdings.apply(changes, nowMs),
    },
  };
  const wallMs = () => 1_700_000_000_000 + clock.nowMs;
  const make = () => {
    const gate = new ProxyGate({ nowMs: () => 0, onRefused: () => undefined });
    const entries = new RelayEntries(
      startSweeper(abort.signal),
      () => undefined,
      gate,
      new PortSharing(systemSockets()),
    );
    const forwards = new RelayForwards({
      store,
      ports: newEntryPorts(),
      entries,
      policy: () => ({
        pool: { ranges: [{ protocol: null, first: ports[0]!, last: ports[3]!, internalFirst: ports[0]! }] },
        reserved: [],
        denied: { ranges: [] },
      }),
      publicHost: () => "relay.example",
      nowMs: () => clock.nowMs,
      wallMs,
      warn: (message) => warnings.push(message),
    });
    return { entries, forwards };
  };
  let { entries, forwards } = make();
  const device = async (name: string, seed: number) => {
    const { id, accountId } = await enrolDevice(fixture.store, name, seed);
    return { peer: { deviceId: id, name, account: accountId, version: "" } } as Session;
  };
  const web1 = await device("web1", 1);
  const web2 = await device("web2", 2);
  await forwards.sessionUp(web1.peer);
  await forwards.sessionUp(web2.peer);
  return {
    store: fixture.store,
    ports,
    clock,
    disk,
    warnings,
    web1,
    web2,
    get forwards() {
      return forwards;
    },
    get entries() {
      return entries;
    },
    put: (session: Session, spec: RemoteSpec) => forwards.put(session, HANDLE, spec),
    /** The relay's process ends and another begins. */
    async restart() {
      await forwards.idle();
      entries.closeAll();
      ({ entries, forwards } = make());
      await forwards.restore();
    },
    async stored() {
      await forwards.idle();
      const rows = await fixture.store.forwards.list();
      const leases = await fixture.store.leases.list(wallMs());
      return { forwards: rows.map(({ spec }) => spec.id).sort(), leased: leases.map(({ first }) => first).sort() };
    },
    held: () => [...forwards.list()].map(({ spec }) => [spec.id, spec.ports[0]?.first]),
    async [Symbol.asyncDispose]() {
      await forwards.idle();
      entries.closeAll();
      abort.abort();
      await fixture[Symbol.asyncDispose]();
    },
  };
}

function spec(id: string, port: number, more: Partial<RemoteSpec> = {}): RemoteSpec {
  const ports = [{ protocol: "tcp", first: port, last: port, internalFirst: 80 }] as const;
  return { id, name: id, group: null, ports, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: 600, ...more };
}

describe("a lease", () => {
  test("keeps the port from others until it ends, and not longer", async () => {
    await using lab = await forwardsLab();
    const { clock, web1, web2 } = lab;
    const [port] = lab.ports as [number];
    await lab.put(web1, spec("a", port));
    lab.forwards.sessionDown(web1.peer);
    expect(lab.forwards.nextDeadlineMs()).toBe(600_000);
    clock.nowMs = 599_999;
    await lab.forwards.expire();
    expect(await lab.put(web2, spec("b", port))).toMatchObject({
      kind: "refused",
      why: "conflict",
      message: `Port ${port}/tcp is reserved for device "web1" for another 1 s; choose another port, remove that forward, or give both the same group to share it.`,
    });
    clock.nowMs = 600_000;
    const expired = lab.forwards.expire();
    // Free at once, though the disk has not heard of it yet.
    expect(await lab.put(web2, spec("b", port))).toMatchObject({ kind: "open", endpoints: [{ port }] });
    await expired;
    expect(await lab.stored()).toEqual({ forwards: ["b"], leased: [port] });
  });

  test("does not run while its device is connected, nor when it is permanent", async () => {
    await using lab = await forwardsLab();
    const [one, two] = lab.ports as [number, number];
    await lab.put(lab.web1, spec("connected", one));
    await lab.put(lab.web2, spec("permanent", two, { lifetimeSec: null }));
    lab.forwards.sessionDown(lab.web2.peer);
    lab.clock.nowMs = 24 * HOUR_MS;
    await lab.forwards.expire();
    expect(lab.held()).toEqual([
      ["connected", one],
      ["permanent", two],
    ]);
  });

  test("runs anew after the relay was away", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    await lab.put(lab.web1, spec("a", port));
    lab.forwards.sessionDown(lab.web1.peer);
    await lab.forwards.idle();
    lab.clock.nowMs = HOUR_MS;
    await lab.restart();
    expect(lab.forwards.nextDeadlineMs()).toBe(HOUR_MS + 600_000);
    expect(lab.held()).toEqual([["a", port]]);
  });

  test("of a device that takes its forward back while the end is being stored is not lost", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    await lab.put(lab.web1, spec("a", port));
    lab.forwards.sessionDown(lab.web1.peer);
    lab.clock.nowMs = 600_000;
    const expired = lab.forwards.expire();
    await lab.forwards.sessionUp(lab.web1.peer);
    expect(await lab.put(lab.web1, spec("a", port))).toMatchObject({ kind: "open" });
    await expired;
    expect(await lab.stored()).toEqual({ forwards: ["a"], leased: [port] });
  });
});

describe("what a put answered", () => {
  test("is on the disk", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    await lab.put(lab.web1, spec("a", port));
    expect((await lab.store.forwards.list()).map(({ spec: { id } }) => id)).toEqual(["a"]);
    expect((await lab.store.leases.list(0)).map(({ first }) => first)).toEqual([port]);
    await lab.restart();
    expect(lab.held()).toEqual([["a", port]]);
  });

  test("as open for a second session waits for the first one's write", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    lab.disk.full = true;
    const first = lab.put(lab.web1, spec("a", port));
    const second = lab.put(lab.web1, spec("a", port));
    expect(await first).toMatchObject({ kind: "refused", why: "failed" });
    expect(await second).toMatchObject({ kind: "refused", why: "failed" });
    expect(lab.held()).toEqual([]);
  });

  test("is a refusal when the disk is full, and nothing is open or held", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    lab.disk.full = true;
    expect(await lab.put(lab.web1, spec("a", port))).toEqual({
      kind: "refused",
      why: "failed",
      message: "The relay cannot write to its disk, so the forward is not open; ask its operator to read its log.",
    });
    expect(lab.warnings).toEqual(['forward "a" could not be stored: The disk is full.']);
    expect(await ask(port)).toBe("ECONNREFUSED");
    expect(lab.held()).toEqual([]);
    lab.disk.full = false;
    expect(await lab.put(lab.web2, spec("b", port))).toMatchObject({ kind: "open" });
  });

  test("is a refusal for a change that cannot be stored, and what was open before is open", async () => {
    await using lab = await forwardsLab();
    const [one, two] = lab.ports as [number, number];
    await lab.put(lab.web1, spec("a", one));
    lab.disk.full = true;
    const moved = lab.put(lab.web1, spec("a", two));
    // Builds on the change before: undone with it.
    const next = lab.put(lab.web1, spec("b", one));
    expect(await moved).toMatchObject({ kind: "refused", why: "failed" });
    expect(await next).toMatchObject({ kind: "refused", why: "failed" });
    expect(lab.held()).toEqual([["a", one]]);
    expect(await ask(two)).toBe("ECONNREFUSED");
    // It is open: the visitor is let in, and cut because no device has a session here.
    expect(await ask(one)).toBe("cut");
    expect(lab.entries.get([...lab.forwards.list()][0]!)?.members.get(lab.web1.peer.deviceId)?.handle).toBe(HANDLE);
    lab.disk.full = false;
    expect(await lab.stored()).toEqual({ forwards: ["a"], leased: [one] });
  });

  test("costs unchanged forwards nothing while the disk is full", async () => {
    await using lab = await forwardsLab();
    const [port] = lab.ports as [number];
    await lab.put(lab.web1, spec("a", port));
    lab.disk.full = true;
    lab.forwards.sessionDown(lab.web1.peer);
    await lab.forwards.sessionUp(lab.web1.peer);
    expect(await lab.put(lab.web1, spec("a", port))).toMatchObject({ kind: "open" });
  });
});

describe("a device that was revoked", () => {
  test("leaves nothing behind, not even what was just being stored", async () => {
    await using lab = await forwardsLab();
    const [one, two] = lab.ports as [number, number];
    await lab.put(lab.web1, spec("a", one));
    const pending = lab.put(lab.web1, spec("b", two));
    await lab.store.devices.revoke("web1", 1);
    await lab.forwards.removeDevice(lab.web1.peer.deviceId);
    await pending;
    expect(lab.held()).toEqual([]);
    expect(await lab.stored()).toEqual({ forwards: [], leased: [] });
    expect(await lab.put(lab.web2, spec("c", two))).toMatchObject({ kind: "open" });
  });
});

describe("sync", () => {
  test("gives up what the device no longer names, at once for whoever asks next", async () => {
    await using lab = await forwardsLab();
    const [one, two] = lab.ports as [number, number];
    await lab.put(lab.web1, spec("a", one));
    await lab.put(lab.web1, spec("b", two));
    const synced = lab.forwards.sync(lab.web1.peer.deviceId, ["a"]);
    expect(await lab.put(lab.web2, spec("c", two))).toMatchObject({ kind: "open" });
    await synced;
    expect(await lab.stored()).toEqual({ forwards: ["a", "c"], leased: [one, two].sort() });
  });
});

test("a session that ended while its grants were read leaves none behind", async () => {
  await using lab = await forwardsLab();
  const up = lab.forwards.sessionUp(lab.web1.peer);
  lab.forwards.sessionDown(lab.web1.peer);
  await up;
  const [port] = lab.ports as [number];
  expect(await lab.put(lab.web1, spec("a", port))).toMatchObject({ kind: "refused", why: "policy" });
});
