import { afterAll, describe, expect, test } from "bun:test";
import { connect as connectNode, type Socket } from "node:net";
import { MemoryEnd } from "../../../test/contract/memory-end.ts";
import { counted } from "../../../test/fixtures/counted.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS, type ForwardOptions } from "../../core/forward.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import type { PortMapping, Protocol } from "../../wire/port-set.ts";
import { encodeProxyHeader, type ProxyHeader } from "../../wire/proxy-protocol.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ForwardCounters } from "./counters.ts";
import type { ByteEnd, ByteSink, Exit, FlowEnd, FlowSink, Visit } from "./ends.ts";
import { openEntry } from "./entry.ts";
import { type GateHost, ProxyGate, type ProxyRefusal } from "./proxy-gate.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { startSweeper } from "./sweeper.ts";

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
};
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const BALANCER = "10.0.0.5";
const STRANGER = "198.51.100.66";
const VISITOR = { address: "192.0.2.1", port: 56_324 };
const FRONT = { address: "198.51.100.2", port: 443 };
const named = (transport: "stream" | "datagram"): ProxyHeader => ({
  kind: "visitor",
  transport,
  source: VISITOR,
  destination: FRONT,
});
const V6: ProxyHeader = {
  kind: "visitor",
  transport: "stream",
  source: { address: "2001:db8::1", port: 1 },
  destination: { address: "2001:db8::2", port: 2 },
};
const V1 = encodeProxyHeader("v1", named("stream"));
const V2 = encodeProxyHeader("v2", named("stream"));
const LOCAL = encodeProxyHeader("v2", { kind: "local" });
const HELLO = bytesOf("hello");

/** Version 2 with as many bytes of TLVs. */
function withTlvs(bytes: number): Uint8Array {
  const header = Buffer.concat([V2, Buffer.alloc(bytes)]);
  header.writeUInt16BE(12 + bytes, 14);
  return header;
}

/** An accepted connection that its test speaks for. */
class FakeEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  ended = false;
  reason: ReasonName | null = null;

  write(): number {
    return 0;
  }
  backlog(): void {}
  end(): void {
    this.ended = true;
  }
  reset(reason: ReasonName): void {
    if (this.reason !== null) return;
    this.reason = reason;
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose(reason);
  }
}

/** What a service gets of a visitor. */
class Received implements ByteSink {
  text = "";
  chunks = 0;
  ended = false;
  closed: ReasonName | null | undefined;
  onOpen(): void {}
  onDrain(): void {}
  onData(bytes: Uint8Array): void {
    this.chunks += 1;
    this.text += textOf(bytes);
  }
  onEnd(): void {
    this.ended = true;
  }
  onClose(reason: ReasonName | null): void {
    this.closed = reason;
  }
}

function atGate(address: string, externalPort = 80) {
  let nowMs = 0;
  const told: [ProxyRefusal, string][] = [];
  const gate = new ProxyGate({ nowMs: () => nowMs, onRefused: (...refusal) => told.push(refusal) });
  gate.change([cidr("10.0.0.0/24"), cidr("2001:db8:5::/48")]);
  const counters = new ForwardCounters();
  const service = new Received();
  const visits: Visit[] = [];
  const host: GateHost = {
    counters,
    receive(end, visit) {
      visits.push(visit);
      end.sink = service;
    },
  };
  const end = new FakeEnd();
  const socketVisit: Visit = {
    visitor: { address, port: 40_000 },
    entry: { address: "10.0.0.1", port: externalPort },
    externalPort,
  };
  gate.receive(end, socketVisit, host);
  const pass = (ms: number) => {
    nowMs += ms;
    gate.sweep(nowMs);
  };
  return { gate, host, end, service, visits, counters, told, socketVisit, pass };
}

describe("a listed source brings a header", () => {
  const named4 = { visitor: VISITOR, entry: FRONT, externalPort: 80 };
  const itself = { visitor: { address: BALANCER, port: 40_000 }, entry: { address: "10.0.0.1", port: 80 } };
  test.each([
    ["v1", V1, named4],
    ["v2", V2, named4],
    ["v2 with TLVs", withTlvs(4_000), named4],
    ["v1, IPv6", encodeProxyHeader("v1", V6), { visitor: { address: "2001:db8::1", port: 1 }, externalPort: 80 }],
    ["v2, IPv6", encodeProxyHeader("v2", V6), { visitor: { address: "2001:db8::1", port: 1 }, externalPort: 80 }],
    ["v1, IPv4 as IPv6", bytesOf("PROXY TCP6 ::ffff:c000:201 2001:db8::2 56324 443\r\n"), { visitor: VISITOR }],
    ["v1 UNKNOWN", bytesOf("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), itself],
    ["v2 LOCAL", LOCAL, itself],
    ["v2 UNSPEC", encodeProxyHeader("v2", { kind: "unknown" }), itself],
  ])("%s: in one piece with what follows, alone, and one byte at a time", (_, header, visit) => {
    const ways: Uint8Array[][] = [
      [Buffer.concat([header, HELLO])],
      [header, HELLO],
      [...Buffer.concat([header, HELLO])].map((byte) => Uint8Array.of(byte)),
    ];
    for (const chunks of ways) {
      const { end, visits, service, counters, told, pass } = atGate(BALANCER);
      for (const chunk of chunks) end.sink.onData(chunk);
      expect(visits).toHaveLength(1);
      expect(visits[0]).toMatchObject(visit);
      expect(service.text).toBe("hello");
      pass(60_000);
      expect([end.reason, told, counters.refused()]).toEqual([null, [], {}]);
    }
  });

  test.each([
    ["no header", HELLO, "missing"],
    ["no header, but its first letter", bytesOf("POST / HTTP/1.1\r\n"), "missing"],
    ["a line without its end", bytesOf(`PROXY UNKNOWN ${"x".repeat(100)}`), "wrong"],
    ["names for addresses", bytesOf("PROXY TCP4 localhost localhost 1 2\r\n"), "wrong"],
    ["version 3", Buffer.concat([V2.subarray(0, 12), Uint8Array.of(0x31, 0x11, 0, 12)]), "wrong"],
    ["a datagram's", encodeProxyHeader("v2", named("datagram")), "wrong"],
    ["too long", withTlvs(4_096), "wrong"],
    ["too long, and never whole", withTlvs(60_000).subarray(0, 5_000), "wrong"],
  ] as const)("%s: refused, counted, told", (_, bytes, refusal) => {
    for (const chunks of [[bytes], [...bytes].map((byte) => Uint8Array.of(byte))]) {
      const { end, visits, counters, told } = atGate(BALANCER);
      for (const chunk of chunks) end.sink.onData(chunk);
      expect(end.reason).toBe("proxyHeader");
      expect(visits).toEqual([]);
      expect(counters.refused()).toEqual({ proxyHeader: 1 });
      expect(told).toEqual([[refusal, BALANCER]]);
    }
  });

  test("within five seconds, also when it drips", () => {
    const { end, pass, told } = atGate(BALANCER);
    end.sink.onData(V2.subarray(0, 20));
    pass(4_999);
    end.sink.onData(V2.subarray(20, 21));
    expect(end.reason).toBeNull();
    pass(1);
    expect(end.reason).toBe("proxyHeader");
    expect(told).toEqual([["missing", BALANCER]]);
  });

  test("who says nothing and leaves has looked whether the port is open: that is no mistake", () => {
    const { end, told, counters, pass } = atGate(BALANCER);
    end.sink.onEnd();
    expect(end.ended).toBe(true);
    end.sink.onClose(null);
    pass(60_000);
    expect([told, counters.refused()]).toEqual([[], {}]);
  });

  test("who leaves in the middle of it is refused", () => {
    const { end, told } = atGate(BALANCER);
    end.sink.onData(V1.subarray(0, 10));
    end.sink.onEnd();
    expect([end.reason, told]).toEqual(["proxyHeader", [["wrong", BALANCER]]]);
  });

  test.each([
    ["its port is closed", [81], "shutdown"],
    ["its port stays", [80], null],
    ["the entry is closed", [], "shutdown"],
  ] as const)("while it waits, %s", (_, kept, reason) => {
    const { gate, host, end, counters } = atGate(BALANCER);
    gate.keep(host, new Set(kept));
    expect(end.reason).toBe(reason);
    expect(counters.refused()).toEqual({});
  });
});

describe("a source that is not listed brings none", () => {
  test.each([
    ["v1", V1, "PROXY"],
    ["v2", V2, textOf(V2.subarray(0, 11))],
    ["v2 LOCAL", LOCAL, textOf(LOCAL.subarray(0, 11))],
  ])("%s: refused before its signature is whole, in one piece or one byte at a time", (_, header, passed) => {
    for (const chunks of [[header], [...header].map((byte) => Uint8Array.of(byte))]) {
      const { end, service, told } = atGate(STRANGER);
      for (const chunk of chunks) end.sink.onData(chunk);
      expect(end.reason).toBe("proxyHeader");
      expect(service.closed).toBe("proxyHeader");
      expect(service.text).toBe(chunks.length === 1 ? "" : passed);
      expect(told).toEqual([["unlisted", STRANGER]]);
    }
  });

  test.each([
    ["GET / HTTP/1.1", [5, 9]],
    ["PROXY", [1, 1, 3]],
    ["PROXy all day", [5, 8]],
    ["\r\n\r\nQUIT", [1, 7]],
    ["PROPFIND /", [3, 7]],
  ])("%j passes as it comes, and is looked at no more", (text, lengths) => {
    const { end, service, visits, socketVisit, told } = atGate(STRANGER);
    // It was let in at once: a service that speaks first waits for nobody.
    expect(visits).toEqual([socketVisit]);
    let at = 0;
    for (const [index, length] of lengths.entries()) {
      end.sink.onData(bytesOf(text.slice(at, at + length)));
      at += length;
      expect(service.chunks).toBe(index + 1);
    }
    expect(service.text).toBe(text);
    if (text !== "PROXY") {
      expect(end.sink).toBe(service);
      end.sink.onData(V1);
    }
    end.sink.onEnd();
    expect([end.reason, told, service.ended]).toEqual([null, [], true]);
  });

  test("whoever was refused at once is not looked at", () => {
    const { gate, socketVisit, counters } = atGate(STRANGER);
    const end = new FakeEnd();
    gate.receive(end, socketVisit, { counters, receive: (refused) => refused.reset("connectionLimit") });
    expect(end.sink).toBe(SILENT_SINK);
  });
});

describe("datagrams", () => {
  const datagram = (header: ProxyHeader) => Buffer.concat([encodeProxyHeader("v2", header), HELLO]);
  test.each([
    ["listed, v2", BALANCER, datagram(named("datagram")), VISITOR.address],
    ["listed, LOCAL", BALANCER, datagram({ kind: "local" }), null],
    ["not listed, without a header", STRANGER, HELLO, null],
  ])("%s", (_, from, bytes, visitor) => {
    const { gate, counters } = atGate(STRANGER);
    const passed = gate.datagram(bytes, from, counters);
    expect(textOf(passed?.payload ?? new Uint8Array())).toBe("hello");
    expect(passed?.header?.source.address ?? null).toBe(visitor);
  });

  test.each([
    ["listed, without a header", BALANCER, HELLO, "missing"],
    ["listed, a stream's", BALANCER, datagram(named("stream")), "wrong"],
    ["listed, cut short", BALANCER, datagram(named("datagram")).subarray(0, 20), "wrong"],
    ["not listed, v2", STRANGER, datagram(named("datagram")), "unlisted"],
    ["not listed, v1", STRANGER, V1, "unlisted"],
  ] as const)("%s: dropped, counted, told", (_, from, bytes, refusal) => {
    const { gate, counters, told } = atGate(STRANGER);
    expect(gate.datagram(bytes, from, counters)).toBeNull();
    expect(counters.refused()).toEqual({ proxyHeader: 1 });
    expect(told).toEqual([[refusal, from]]);
  });
});

describe("at an entry, on real sockets", () => {
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal);
  const sockets = new Set<Socket>();
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    abort.abort();
  });

  class EchoFlow implements FlowEnd {
    sink: FlowSink = SILENT_SINK;
    send(datagram: Uint8Array): boolean {
      this.sink.onDatagram(datagram);
      return true;
    }
    close(): void {}
  }

  /** Services that speak first, and give back what they hear. */
  class Services implements Exit {
    readonly visits: Visit[] = [];
    connect(visit: Visit): ByteEnd {
      this.visits.push(visit);
      const { dialled, accepted } = MemoryEnd.pair();
      accepted.sink = { ...SILENT_SINK, onData: (bytes) => void accepted.write(bytes) };
      accepted.opened();
      accepted.write(bytesOf("hi!"));
      return dialled;
    }
    openFlow(visit: Visit): FlowEnd {
      this.visits.push(visit);
      return new EchoFlow();
    }
  }

  function open(protocol: Protocol, options: ForwardOptions = DEFAULT_OPTIONS, listed = ["127.0.0.1/32"]) {
    const gate = new ProxyGate({ nowMs: () => 0, onRefused: () => undefined });
    gate.change(listed.map(cidr));
    const services = new Services();
    const ports: PortMapping[] = [{ protocol, first: 0, last: 0, internalFirst: 0 }];
    const spec = { bind: "127.0.0.1", ports, options, admission: new Admission(options), sweeper, gate };
    const opened = openEntry(spec, services);
    if (!opened.ok) throw new Error(opened.error.message);
    const entry = opened.value;
    return { gate, services, entry, port: entry.ports[0]?.endpoint.port ?? 0 };
  }

  function visit(port: number, localAddress: string, ...chunks: Uint8Array[]) {
    const socket = connectNode({ port, host: "127.0.0.1", localAddress });
    sockets.add(socket);
    let text = "";
    let failed: string | null = null;
    const { promise: closed, resolve } = Promise.withResolvers<string | null>();
    let heard = Promise.withResolvers<void>();
    socket.on("data", (bytes) => {
      text += bytes.toString();
      heard.resolve();
      heard = Promise.withResolvers();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      failed = error.code ?? error.message;
    });
    socket.on("close", () => resolve(failed));
    for (const chunk of chunks) socket.write(chunk);
    const says = async (wanted: string) => {
      while (text !== wanted) await heard.promise;
    };
    return { socket, closed, says };
  }

  test("the visitor is whom the header names, for limits, lists and counts", async () => {
    const source = { allow: [cidr("192.0.2.0/24")], deny: [] };
    const { services, entry, port } = open("tcp", { ...DEFAULT_OPTIONS, source, limits: { connectionsPerSource: 1 } });
    const first = visit(port, "127.0.0.1", Buffer.concat([V2, HELLO]));
    await first.says("hi!hello");
    expect(services.visits).toMatchObject([{ visitor: VISITOR, entry: FRONT }]);
    expect([...entry.visits.list()].map(([, one]) => one.visit.visitor)).toEqual([VISITOR]);
    expect(entry.visits.counters.bytesIn).toBe(HELLO.length);
    expect(await visit(port, "127.0.0.1", V1).closed).toBe("ECONNRESET");
    expect(await visit(port, "127.0.0.1", encodeProxyHeader("v2", V6)).closed).toBe("ECONNRESET");
    expect(await visit(port, "127.0.0.1", LOCAL).closed).toBe("ECONNRESET");
    expect(entry.visits.counters.refused()).toEqual({ connectionLimit: 1, sourceNotAllowed: 2 });
    entry.close();
  });

  test("from elsewhere a service that speaks first is heard at once, and a header is a reset", async () => {
    const { entry, port } = open("tcp");
    const visitor = visit(port, "127.0.0.2");
    await visitor.says("hi!");
    visitor.socket.write(HELLO);
    await visitor.says("hi!hello");
    const liar = visit(port, "127.0.0.2");
    await liar.says("hi!");
    liar.socket.write(V2);
    expect(await liar.closed).toBe("ECONNRESET");
    expect(entry.visits.counters.refused()).toEqual({ proxyHeader: 1 });
    entry.close();
    expect(await visitor.closed).toBe("ECONNRESET");
  });

  test("a list that changes counts for the next connection; none: a header is a visitor's first bytes", async () => {
    const { gate, services, entry, port } = open("tcp");
    gate.change([]);
    await visit(port, "127.0.0.1", V1).says(`hi!${textOf(V1)}`);
    gate.change([cidr("127.0.0.2/32")]);
    await visit(port, "127.0.0.2", Buffer.concat([V1, HELLO])).says("hi!hello");
    expect(services.visits.map(({ visitor }) => visitor.address)).toEqual(["127.0.0.1", VISITOR.address]);
    entry.close();
  });

  test("closing an entry cuts whoever waits", async () => {
    const { entry, port } = open("tcp");
    const waiting = visit(port, "127.0.0.1", V2.subarray(0, 5));
    await new Promise((resolve) => waiting.socket.once("connect", resolve));
    // Another connection was taken in after it.
    await visit(port, "127.0.0.1", Buffer.concat([V2, HELLO])).says("hi!hello");
    entry.close();
    expect(await waiting.closed).toBe("ECONNRESET");
  });

  test("datagrams of many visitors come by one port of the balancer, and are answered there", async () => {
    const { services, entry, port } = open("udp");
    const answers: string[] = [];
    let heard = Promise.withResolvers<void>();
    const balancer = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (_socket, bytes) => {
          answers.push(textOf(bytes));
          heard.resolve();
          heard = Promise.withResolvers();
        },
      },
    });
    const from = (port: number): ProxyHeader => ({ ...named("datagram"), source: { ...VISITOR, port } }) as ProxyHeader;
    for (const [visitor, text] of [
      [1, "a"],
      [2, "b"],
      [1, "c"],
    ] as const) {
      balancer.send(Buffer.concat([encodeProxyHeader("v2", from(visitor)), bytesOf(text)]), port, "127.0.0.1");
      while (answers.at(-1) !== text) await heard.promise;
    }
    expect(services.visits).toMatchObject([{ visitor: { port: 1 } }, { visitor: { port: 2 } }]);
    expect(entry.visits.counters).toMatchObject({ visitorsOpen: 2, bytesIn: 3, bytesOut: 3 });
    balancer.send("without", port, "127.0.0.1");
    const { counters } = entry.visits;
    await counted(counters, () => counters.refused()["proxyHeader"] === 1);
    expect(services.visits).toHaveLength(2);
    balancer.close();
    entry.close();
  });
});
