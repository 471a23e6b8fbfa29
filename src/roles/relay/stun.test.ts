import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { ForwardTable, newEntryPorts } from "../../core/table.ts";
import { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import { bindUdp } from "../../dataplanes/io/udp-socket.ts";
import { discoverMapped } from "../../router/stun.ts";
import { RelayStun, type RelayStunOptions } from "./stun.ts";

const A = "127.0.0.1";
const B = "127.0.0.2";

let stop: AbortController;
let port: number;
let warnings: string[];
const world = { enabled: true, addresses: [A] as readonly string[], nowMs: 0 };

beforeEach(async () => {
  stop = new AbortController();
  [port] = (await freePorts(2)) as [number, number];
  warnings = [];
  Object.assign(world, { enabled: true, addresses: [A], nowMs: 0 });
});
afterEach(() => stop.abort());

function start(host = "0.0.0.0", more: Partial<RelayStunOptions> = {}): Promise<RelayStun> {
  return RelayStun.start({
    listen: { host, port },
    ports: newEntryPorts(),
    sharing: new PortSharing(systemSockets()),
    enabled: () => world.enabled,
    addresses: () => world.addresses,
    nowMs: () => world.nowMs,
    signal: stop.signal,
    warn: (message) => warnings.push(message),
    ...more,
  });
}

function block(at: number) {
  const bound = bindUdp(A, at, { data: () => undefined });
  if (!bound.ok) throw bound.error;
  stop.signal.addEventListener("abort", () => bound.value.close());
  return bound.value;
}

/** Ports of the relay's table that a forward holds. */
function heldPorts(first: number) {
  const ports = newEntryPorts();
  const spec = {
    id: "f",
    name: "f",
    group: null,
    ports: [{ protocol: "udp", first, last: first, internalFirst: 9 } as const],
    options: DEFAULT_OPTIONS,
    enabled: false,
    lifetimeSec: null,
  };
  expect(new ForwardTable({ ports }).put({ account: "a", device: "d" }, spec, "*", 0).ok).toBe(true);
  return ports;
}

/** 0.3 s for a server that is silent: a busy machine takes its time to answer. */
const timing = { rtoMs: 50, requests: 3, lastWaitRtos: 3, paceMs: 1 };
const answers = async (host: string) =>
  (await discoverMapped({ server: { host, port }, signal: stop.signal, timing })).ok;
const numbers = (stun: RelayStun) => stun.reserved.map(({ protocol, port: one }) => `${one}/${protocol}`);

describe("addresses", () => {
  const rows: [name: string, host: string, own: string[], served: string[], silent: string[]][] = [
    ["every one of IPv4", "0.0.0.0", [A, B, "::1"], [A, B], ["::1"]],
    ["every one", "*", [A, B, "::1"], [A, B, "::1"], []],
    ["every one, of IPv6's wildcard", "::", [A, "::1"], [A, "::1"], []],
    ["one", B, [A, B, "::1"], [B], [A, "::1"]],
  ];
  for (const [name, host, own, served, silent] of rows) {
    test(`listen: ${name}`, async () => {
      world.addresses = own;
      await start(host);
      for (const one of served) expect(await answers(one)).toBe(true);
      for (const one of silent) expect(await answers(one)).toBe(false);
      expect(warnings).toEqual([]);
    });
  }

  test("listen: a name's", async () => {
    await start("localhost");
    // Whichever family the resolver gives first, as for the listener of TCP.
    expect([await answers(A), await answers("::1")].toSorted()).toEqual([false, true]);
    expect(await answers(B)).toBe(false);
  });

  test("a new one is served half a minute later, and one that went away no longer", async () => {
    const stun = await start();
    world.addresses = [B];
    stun.sweep(29_000);
    expect([await answers(A), await answers(B)]).toEqual([true, false]);
    world.nowMs = 30_000;
    stun.sweep(30_000);
    expect([await answers(A), await answers(B)]).toEqual([false, true]);
  });

  test("one that is not there yet is no matter for a warning", async () => {
    world.addresses = ["192.0.2.1"];
    await start();
    expect(warnings).toEqual([]);
  });
});

describe("ports", () => {
  test("that of the agents and the next are the relay's own, while it answers", async () => {
    const stun = await start();
    expect(numbers(stun)).toEqual([`${port}/udp`, `${port + 1}/udp`]);
    expect(stun.reserved[0]?.purpose).toBe("where the relay answers STUN");
    world.enabled = false;
    stun.refresh();
    expect(numbers(stun)).toEqual([]);
    expect(await answers(A)).toBe(false);
    world.enabled = true;
    stun.refresh();
    expect(await answers(A)).toBe(true);
  });

  test("the next one may be another's: it answers at one", async () => {
    block(port + 1);
    const stun = await start();
    expect(numbers(stun)).toEqual([`${port}/udp`]);
    expect(warnings).toEqual([]);
  });

  test("or a forward's, which is not open now", async () => {
    expect(numbers(await start("0.0.0.0", { ports: heldPorts(port + 1) }))).toEqual([`${port}/udp`]);
  });

  test("a forward that holds the first one keeps it, and that is told", async () => {
    const stun = await start("0.0.0.0", { ports: heldPorts(port) });
    expect(numbers(stun)).toEqual([]);
    stun.refresh();
    expect(warnings).toEqual([
      `A forward holds UDP port ${port}, so the relay does not answer STUN; "stun = false" in [relay] does without it.`,
    ]);
  });

  test("so does another program, until it ends: told once", async () => {
    const blocker = block(port);
    const stun = await start();
    stun.refresh();
    expect(warnings).toEqual([
      `STUN is not served: UDP port ${port} is in use on ${A}; stop the program that has it or choose another port. Or "stun = false" in [relay] does without it.`,
    ]);
    expect(numbers(stun)).toEqual([]);
    blocker.close();
    stun.refresh();
    expect(await answers(A)).toBe(true);
  });
});
