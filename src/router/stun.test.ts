import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { freePorts } from "../../test/fixtures/free-ports.ts";
import type { StunTiming } from "../core/stun/exchange.ts";
import { bindUdp, type UdpSocket } from "../dataplanes/io/udp-socket.ts";
import { StunServer } from "../servers/stun/server.ts";
import type { Endpoint } from "../wire/endpoint.ts";
import type { StunAttribute } from "../wire/stun/attributes.ts";
import { decodeStun, encodeStun, type StunKind } from "../wire/stun/message.ts";
import { discoverBehaviour, discoverMapped } from "./stun.ts";

const A = "127.0.0.1";
const B = "127.0.0.2";
/** 30 ms for a server that is silent. */
const QUICK: StunTiming = { rtoMs: 5, requests: 3, lastWaitRtos: 3, paceMs: 1 };
/** As quick with its requests; an answer may come when a busy machine comes to it. */
const PATIENT: StunTiming = { ...QUICK, lastWaitRtos: 2_000 };
const NONE_IGNORED = { unreadable: 0, unknown: 0, late: 0, foreign: 0 };

let stop: AbortController;
beforeEach(() => {
  stop = new AbortController();
});
afterEach(() => stop.abort());

/** Our own server at both addresses of loopback and at IPv6's; its port. */
async function serve(): Promise<number> {
  const [port, alternatePort] = (await freePorts(2)) as [number, number];
  const server = new StunServer({ port, alternatePort, nowMs: () => performance.now(), signal: stop.signal });
  const sites = [
    { address: A, other: B },
    { address: B, other: A },
    { address: "::1", other: null },
  ];
  expect(server.apply(sites)).toEqual([]);
  return port;
}

type Answer = (kind: StunKind, attributes: readonly StunAttribute[], transactionId?: string) => Uint8Array;

/** A server that does as the test says with each request. */
function fakeServer(
  onRequest: (answer: Answer, from: Endpoint, socket: UdpSocket) => void,
  address = A,
): { readonly port: number; readonly socket: UdpSocket } {
  const bound = bindUdp(address, 0, {
    data(socket, bytes, port, from) {
      const request = decodeStun(bytes);
      if (!request.ok) throw new Error("the client sent no STUN");
      const { transactionId: own } = request.value;
      const answer: Answer = (kind, attributes, transactionId = own) =>
        encodeStun({ kind, transactionId, attributes, fingerprint: false });
      onRequest(answer, { address: from, port }, socket);
    },
  });
  if (!bound.ok) throw bound.error;
  stop.signal.addEventListener("abort", () => bound.value.close());
  return { port: bound.value.port, socket: bound.value };
}

const query = (host: string, port: number, timing = QUICK) => ({ server: { host, port }, signal: stop.signal, timing });

describe("the mapped address", () => {
  for (const [host, address] of [
    [A, A],
    ["::1", "::1"],
    ["localhost", A],
  ] as const) {
    test(`by ${host}`, async () => {
      const port = await serve();
      const found = await discoverMapped({ server: { host, port }, signal: stop.signal });
      if (!found.ok) throw new Error(found.error.message);
      const { local, mapped, server, ignored } = found.value;
      expect(server).toEqual({ address, port });
      expect(local).toEqual({ address, port: expect.any(Number) });
      expect(mapped).toEqual(local);
      expect(ignored).toEqual(NONE_IGNORED);
    });
  }

  test("from an address of our choice", async () => {
    const port = await serve();
    const found = await discoverMapped({ server: { host: A, port }, bindAddress: "127.0.0.7", signal: stop.signal });
    expect(found).toMatchObject({ ok: true, value: { mapped: { address: "127.0.0.7" } } });
  });

  test("is taken from the server's own answer alone; the rest is counted", async () => {
    const liar = fakeServer(() => undefined, B);
    const forged: StunAttribute = { kind: "xor-mapped-address", endpoint: { address: "192.0.2.66", port: 6 } };
    let requests = 0;
    const { port } = fakeServer((answer, from, socket) => {
      const right: StunAttribute = { kind: "xor-mapped-address", endpoint: from };
      if (++requests === 2) return void socket.send(answer("success", [right]), from.port, from.address);
      liar.socket.send(answer("success", [forged]), from.port, from.address);
      socket.send(answer("success", [forged], "f".repeat(24)), from.port, from.address);
      socket.send("hello", from.port, from.address);
    });
    const found = await discoverMapped({ server: { host: A, port }, signal: stop.signal });
    if (!found.ok) throw new Error(found.error.message);
    expect(found.value.mapped).toEqual(found.value.local);
    expect(found.value.ignored).toEqual({ unreadable: 1, unknown: 1, late: 0, foreign: 1 });
  });

  test("is asked for again when an answer does not come", async () => {
    let requests = 0;
    const { port } = fakeServer((answer, from, socket) => {
      if (++requests < 3) return;
      socket.send(answer("success", [{ kind: "xor-mapped-address", endpoint: from }]), from.port, from.address);
    });
    expect(await discoverMapped(query(A, port, PATIENT))).toMatchObject({ ok: true, value: { rttMs: null } });
  });
});

describe("failures are told apart", () => {
  test("silent, after three requests", async () => {
    let requests = 0;
    const third = Promise.withResolvers<void>();
    const { port } = fakeServer(() => ++requests === 3 && third.resolve());
    const found = await discoverMapped(query(A, port));
    expect(found).toEqual({
      ok: false,
      error: {
        kind: "silent",
        message: `${A}:${port}/udp does not answer; check that STUN is served there and that nothing on the way drops UDP.`,
      },
    });
    await third.promise;
    expect(requests).toBe(3);
  });

  test("nobody there at all", async () => {
    const [port] = await freePorts(1);
    expect(await discoverMapped(query(A, port as number))).toMatchObject({ ok: false, error: { kind: "silent" } });
  });

  test("refused", async () => {
    const { port } = fakeServer((answer, from, socket) => {
      socket.send(answer("error", [{ kind: "error-code", code: 420, reason: "" }]), from.port, from.address);
    });
    const found = await discoverMapped(query(A, port, PATIENT));
    expect(found).toMatchObject({
      ok: false,
      error: { kind: "refused", message: expect.stringContaining("error 420") },
    });
  });

  test("no address of that family", async () => {
    const found = await discoverMapped({ ...query(A, 3478), family: 6 });
    expect(found).toEqual({
      ok: false,
      error: { kind: "unresolved", message: `${A} has no IPv6 address; ask without naming the family.` },
    });
  });

  test("an address that this machine does not have", async () => {
    const found = await discoverMapped({ ...query(A, 3478), bindAddress: "192.0.2.1" });
    expect(found).toMatchObject({ ok: false, error: { kind: "unreachable" } });
  });

  test("stopped before and while", async () => {
    const asked = Promise.withResolvers<void>();
    const { port } = fakeServer(() => asked.resolve());
    const ending = new AbortController();
    const found = discoverMapped({ server: { host: A, port }, signal: ending.signal });
    await asked.promise;
    ending.abort();
    expect(await found).toMatchObject({ ok: false, error: { kind: "stopped" } });
    expect(await discoverMapped({ ...query(A, port), signal: ending.signal })).toMatchObject({
      error: { kind: "stopped" },
    });
  });
});

describe("behaviour", () => {
  test("of no NAT and no filter", async () => {
    const port = await serve();
    const found = await discoverBehaviour({ server: { host: A, port }, signal: stop.signal });
    expect(found).toMatchObject({
      ok: true,
      value: { mapping: "none", mappingWhy: null, filtering: "none", filteringWhy: null, ignored: NONE_IGNORED },
    });
  });

  test("of which a server with one address shows a part", async () => {
    const port = await serve();
    const found = await discoverBehaviour({ server: { host: "::1", port }, signal: stop.signal });
    expect(found).toMatchObject({
      ok: true,
      value: {
        mapping: "none",
        filtering: "unknown",
        filteringWhy: expect.stringContaining("the server has one address"),
      },
    });
  });

  test("a server that is silent is a result", async () => {
    const { port } = fakeServer(() => undefined);
    const found = await discoverBehaviour(query(A, port));
    expect(found).toMatchObject({ ok: true, value: { mapped: null, mapping: "unknown", filtering: "unknown" } });
  });
});
