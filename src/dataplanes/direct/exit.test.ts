import { afterAll, describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import type { ProxyProtocolVersion } from "../../core/forward.ts";
import { mappingContains } from "../../wire/port-set.ts";
import { decodeProxyHeader } from "../../wire/proxy-protocol.ts";
import { Descriptors } from "../io/descriptors.ts";
import type { FlowEnd, Visit } from "../io/ends.ts";
import { SILENT_SINK } from "../io/silent-sink.ts";
import { type Sweepable, startSweeper } from "../io/sweeper.ts";
import { Turnstile } from "../io/turnstile.ts";
import { UdpOutbox } from "../io/udp-outbox.ts";
import { MAX_DATAGRAM_BYTES } from "../io/udp-socket.ts";
import { DIAL_DEADLINE_MS, Dials } from "./dial.ts";
import { ALLOWS_ALL, type Allows, directExit, mappedTarget, type Target } from "./exit.ts";
import { type Resolver, systemResolver } from "./resolver.ts";

const VISIT: Visit = {
  visitor: { address: "192.0.2.1", port: 5_000 },
  entry: { address: "192.0.2.9", port: 80 },
  externalPort: 80,
};

const abort = new AbortController();
const sweeper = startSweeper(abort.signal);
afterAll(() => abort.abort());

interface ExitSpec {
  readonly to?: string;
  readonly port?: number;
  readonly allows?: Allows;
  readonly resolver?: Resolver;
  readonly proxyProtocol?: ProxyProtocolVersion;
  readonly dials?: Dials;
  readonly target?: Target;
}

function exitTo({ to = "127.0.0.1", port = 0, ...rest }: ExitSpec) {
  return directExit({
    target: rest.target ?? (() => ({ host: to, port })),
    allows: rest.allows ?? ALLOWS_ALL,
    resolver: rest.resolver ?? systemResolver(),
    dials: rest.dials ?? new Dials(sweeper),
    proxyProtocol: () => rest.proxyProtocol ?? null,
  });
}

/** A service that keeps what it reads. */
function service() {
  let received = Buffer.alloc(0);
  let heard = Promise.withResolvers<void>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (_socket, bytes) => {
        received = Buffer.concat([received, bytes]);
        heard.resolve();
        heard = Promise.withResolvers<void>();
      },
    },
  });
  const until = async (count: number) => {
    while (received.length < count) await heard.promise;
    return received;
  };
  return { port: listener.port, until, stop: () => listener.stop(true) };
}

function closedPort(): number {
  const { port, stop } = service();
  stop();
  return port;
}

const resolverOf = (...addresses: string[]): Resolver => ({ known: () => null, resolve: async () => addresses });

describe("a TCP visit", () => {
  for (const to of ["127.0.0.1", "localhost"]) {
    test(`reaches ${to}; what is written before it is open goes first`, async () => {
      const { port, until, stop } = service();
      const end = new Recorder(exitTo({ to, port }).connect(VISIT));
      end.end.write(new TextEncoder().encode("early"));
      await end.whenOpen();
      expect((await until(5)).toString()).toBe("early");
      end.end.reset("killed");
      stop();
    });
  }

  for (const version of ["v1", "v2"] as const) {
    test(`begins with a PROXY ${version} header`, async () => {
      const { port, until, stop } = service();
      const end = new Recorder(exitTo({ port, proxyProtocol: version }).connect(VISIT));
      end.end.write(new TextEncoder().encode("hello"));
      const bytes = await until(30);
      const decoded = decodeProxyHeader(bytes);
      expect(decoded).toMatchObject({
        ok: true,
        value: { version, header: { source: VISIT.visitor, destination: VISIT.entry, transport: "stream" } },
      });
      const length = decoded.ok ? (decoded.value?.length ?? 0) : 0;
      expect((await until(length + 5)).subarray(length).toString()).toBe("hello");
      end.end.reset("killed");
      stop();
    });
  }

  const refusals: [string, ExitSpec, string][] = [
    ["nothing listens", { port: closedPort() }, "serviceRefused"],
    ["the name does not resolve", { to: "nowhere.invalid", port: 1 }, "hostNotFound"],
    ["the name is not allowed", { port: 1, allows: { ...ALLOWS_ALL, name: () => false } }, "exitNotAllowed"],
    ["no address is allowed", { port: 1, allows: { ...ALLOWS_ALL, address: () => false } }, "exitNotAllowed"],
    ["the forward has no such port", { target: () => null }, "noForward"],
  ];
  for (const [name, spec, reason] of refusals) {
    test(`${name}: ${reason}`, async () => {
      const end = new Recorder(exitTo(spec).connect(VISIT));
      await end.whenClosed();
      expect(end.events).toEqual(["close"]);
      expect(end.closed as string).toBe(reason);
    });
  }

  test("only addresses that were checked are tried, each in turn", async () => {
    const { port, until, stop } = service();
    const checked: string[] = [];
    const allows: Allows = {
      name: () => true,
      address: (_host, address) => checked.push(address) > 0 && address !== "127.0.0.3",
    };
    const resolver = resolverOf("127.0.0.3", "127.0.0.2", "127.0.0.1");
    const end = new Recorder(exitTo({ to: "name", port, allows, resolver }).connect(VISIT));
    end.end.write(new TextEncoder().encode("x"));
    await end.whenOpen();
    await until(1);
    expect(checked).toEqual(["127.0.0.3", "127.0.0.2", "127.0.0.1"]);
    end.end.reset("killed");
    stop();
  });

  test("a service that never answers is given up at the deadline", async () => {
    const items: Sweepable[] = [];
    let nowMs = 0;
    const shared = { turnstile: new Turnstile(), descriptors: new Descriptors(), outbox: new UdpOutbox() };
    const add = (item: Sweepable) => void items.push(item);
    const dials = new Dials({ ...shared, nowMs: () => nowMs, add, remove: () => undefined });
    const resolver: Resolver = { known: () => null, resolve: () => new Promise(() => undefined) };
    const end = new Recorder(exitTo({ to: "name", port: 1, resolver, dials }).connect(VISIT));
    nowMs = DIAL_DEADLINE_MS - 1;
    for (const item of items) item.sweep(nowMs);
    expect(end.closed).toBeUndefined();
    nowMs = DIAL_DEADLINE_MS;
    for (const item of items) item.sweep(nowMs);
    expect(end.closed).toBe("serviceTimeout");
  });

  test("closing the plane ends what is still dialling", async () => {
    const dials = new Dials(sweeper);
    const resolver: Resolver = { known: () => null, resolve: () => new Promise(() => undefined) };
    const end = new Recorder(exitTo({ to: "name", resolver, dials }).connect(VISIT));
    dials.close();
    expect(end.closed).toBe("shutdown");
  });
});

describe("a UDP flow", () => {
  const udpService = async (answer = true) => {
    const received: Uint8Array[] = [];
    let heard = Promise.withResolvers<void>();
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (self, datagram, port, address) => {
          received.push(datagram);
          if (answer) self.send(datagram, port, address);
          heard.resolve();
          heard = Promise.withResolvers<void>();
        },
      },
    });
    const until = async (count: number) => {
      while (received.length < count) await heard.promise;
      return received;
    };
    return { port: socket.port, until, close: () => socket.close() };
  };
  const replies = (flow: FlowEnd) => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | string | null>();
    flow.sink = { onDatagram: (datagram) => resolve(datagram.slice()), onClose: resolve };
    return promise;
  };

  test("carries datagrams both ways, also those written while the name is resolved", async () => {
    const { port, until, close } = await udpService();
    const flow = exitTo({ to: "name", port, resolver: resolverOf("127.0.0.1") }).openFlow(VISIT);
    const reply = replies(flow);
    expect(flow.send(new Uint8Array(1_400).fill(7))).toBe(true);
    expect(flow.send(new Uint8Array(0))).toBe(true);
    expect((await until(2)).map(({ length }) => length)).toEqual([1_400, 0]);
    expect((await reply)?.length).toBe(1_400);
    flow.close(null);
    expect(flow.send(new Uint8Array(1))).toBe(false);
    close();
  });

  test("what waits for the name is a copy", async () => {
    const { port, until, close } = await udpService(false);
    const flow = exitTo({ to: "name", port, resolver: resolverOf("127.0.0.1") }).openFlow(VISIT);
    // A Buffer, as sockets give it: its own slice() is no copy.
    const reused = Buffer.from("first");
    flow.send(reused);
    reused.fill("?");
    expect((await until(1)).map(String)).toEqual(["first"]);
    flow.close(null);
    close();
  });

  test("what waits is bounded", () => {
    const resolver: Resolver = { known: () => null, resolve: () => new Promise(() => undefined) };
    const flow = exitTo({ to: "name", resolver }).openFlow(VISIT);
    let taken = 0;
    while (taken < 1_000 && flow.send(new Uint8Array(10))) taken++;
    expect(taken).toBe(64);
    const large = exitTo({ to: "name", resolver }).openFlow(VISIT);
    let bytes = 0;
    while (bytes < 1e7 && large.send(new Uint8Array(60_000))) bytes += 60_000;
    expect(bytes).toBe(240_000);
  });

  test("every datagram begins with a PROXY v2 header", async () => {
    const { port, until, close } = await udpService(false);
    const flow = exitTo({ port, proxyProtocol: "v1" }).openFlow(VISIT);
    flow.send(Uint8Array.of(1));
    flow.send(Uint8Array.of(2, 2));
    for (const [at, datagram] of (await until(2)).entries()) {
      const decoded = decodeProxyHeader(datagram);
      expect(decoded).toMatchObject({ ok: true, value: { version: "v2", header: { transport: "datagram" } } });
      const length = decoded.ok ? (decoded.value?.length ?? 0) : 0;
      expect(datagram.length - length).toBe(at + 1);
    }
    flow.close(null);
    close();
  });

  test("what the header makes too long is told as dropped, and what was sent before the end leaves", async () => {
    const { port, until, close } = await udpService(false);
    const flow = exitTo({ port, proxyProtocol: "v2" }).openFlow(VISIT);
    const dropped: number[] = [];
    flow.sink = { ...SILENT_SINK, onDropped: (bytes) => void dropped.push(bytes) };
    for (const bytes of [1, MAX_DATAGRAM_BYTES, 2]) flow.send(new Uint8Array(bytes));
    flow.close(null);
    expect(dropped).toEqual([MAX_DATAGRAM_BYTES]);
    const [first, second] = await until(2);
    expect((second?.length ?? 0) - (first?.length ?? 0)).toBe(1);
    close();
  });

  const refusals: [string, ExitSpec, string][] = [
    ["the name does not resolve", { to: "name", port: 1, resolver: resolverOf() }, "hostNotFound"],
    ["the address is not allowed", { port: 1, allows: { ...ALLOWS_ALL, address: () => false } }, "exitNotAllowed"],
  ];
  for (const [name, spec, reason] of refusals) {
    test(`${name}: ${reason}`, async () => {
      expect(await replies(exitTo(spec).openFlow(VISIT))).toBe(reason);
    });
  }

  test("a service that is not there ends the flow", async () => {
    const { port, close } = await udpService();
    close();
    const flow = exitTo({ port }).openFlow(VISIT);
    const closed = replies(flow);
    flow.send(Uint8Array.of(1));
    expect(await closed).toBe("serviceRefused");
  });
});

test("the internal port follows the mapping", () => {
  const ports = [
    { protocol: "tcp", first: 8_000, last: 8_009, internalFirst: 80 },
    { protocol: "udp", first: 53, last: 53, internalFirst: 5_353 },
  ] as const;
  const cases: [Parameters<typeof mappingContains>[1], number, number | null][] = [
    ["tcp", 8_000, 80],
    ["tcp", 8_009, 89],
    ["tcp", 8_010, null],
    ["tcp", 53, null],
    ["udp", 53, 5_353],
  ];
  for (const [protocol, external, internal] of cases) expect(mappingContains(ports, protocol, external)).toBe(internal);
  const target = mappedTarget("192.0.2.3", ports);
  expect(target({ ...VISIT, externalPort: 8_001 }, "tcp")).toEqual({ host: "192.0.2.3", port: 81 });
  expect(target({ ...VISIT, destination: { host: "a", port: 1 } }, "tcp")).toEqual({ host: "a", port: 1 });
  expect(target(VISIT, "tcp")).toBeNull();
});

test("the resolver remembers a name for a while", async () => {
  let nowMs = 0;
  const resolver = systemResolver(() => nowMs);
  expect(resolver.known("::ffff:192.0.2.1")).toEqual(["192.0.2.1"]);
  expect(resolver.known("localhost")).toBeNull();
  const [first, second] = await Promise.all([resolver.resolve("localhost"), resolver.resolve("localhost")]);
  expect(first).toBe(second);
  expect(first).toContain("127.0.0.1");
  expect(resolver.known("localhost")).toBe(first);
  nowMs = 5_001;
  expect(resolver.known("localhost")).toBeNull();
});
