import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect as connectNode } from "node:net";
import { MemoryEnd } from "../../../test/contract/memory-end.ts";
import { counted } from "../../../test/fixtures/counted.ts";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { processorMs } from "../../../test/fixtures/processor-time.ts";
import { askUdp, visit } from "../../../test/fixtures/services.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS, type ForwardOptions } from "../../core/forward.ts";
import type { PortMapping, Protocol } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Exit, FlowEnd, FlowSink, Visit } from "./ends.ts";
import { type Entry, openEntry } from "./entry.ts";
import { refusedEnd } from "./refused.ts";
import { Shaper } from "./shaper.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { startSweeper } from "./sweeper.ts";
import { MAX_DATAGRAM_BYTES } from "./udp-socket.ts";

const any = (protocol: Protocol): PortMapping => ({ protocol, first: 0, last: 0, internalFirst: 0 });

/** Ports in a row, as one range. */
const run = (protocol: Protocol, numbers: readonly number[]): PortMapping[] => {
  const [first = 0] = numbers;
  return [{ protocol, first, last: numbers.at(-1) ?? first, internalFirst: first }];
};

/** Sends every datagram back. */
class EchoFlow implements FlowEnd {
  sink: FlowSink = SILENT_SINK;
  closed: ReasonName | null | undefined;

  send(datagram: Uint8Array): boolean {
    this.sink.onDatagram(datagram);
    return true;
  }

  close(reason: ReasonName | null): void {
    this.closed = reason;
  }
}

class FakeExit implements Exit {
  readonly visits: Visit[] = [];
  readonly flows: EchoFlow[] = [];
  readonly services: MemoryEnd[] = [];
  refuses: ReasonName | null = null;
  onConnect: () => void = () => undefined;

  connect(visit: Visit) {
    this.visits.push(visit);
    if (this.refuses !== null) return refusedEnd(this.refuses);
    const { dialled, accepted } = MemoryEnd.pair();
    this.services.push(accepted);
    accepted.opened();
    queueMicrotask(this.onConnect);
    return dialled;
  }

  openFlow(visit: Visit) {
    this.visits.push(visit);
    const flow = new EchoFlow();
    this.flows.push(flow);
    return flow;
  }
}

const abort = new AbortController();
const sweeper = startSweeper(abort.signal);
afterAll(() => abort.abort());

function open(ports: readonly PortMapping[], options: ForwardOptions = DEFAULT_OPTIONS, bind = "127.0.0.1") {
  const exit = new FakeExit();
  const opened = openEntry({ bind, ports, options, admission: new Admission(options), sweeper }, exit);
  if (!opened.ok) throw new Error(opened.error.message);
  return { exit, entry: opened.value };
}

const portOf = (entry: Entry, at = 0) => entry.ports[at]?.endpoint.port ?? 0;

/** Resolves with the error code of the connection's end, or null when it ended in order. */
function outcome(port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connectNode({ port, host: "127.0.0.1" });
  socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  socket.on("close", () => resolve(null));
  socket.resume();
  return promise;
}

describe("opening", () => {
  test("is all or nothing, and names the port in use", () => {
    const taken = open([any("tcp")]);
    const port = portOf(taken.entry);
    const ports: PortMapping[] = [
      any("tcp"),
      any("udp"),
      { protocol: "tcp", first: port, last: port, internalFirst: 1 },
    ];
    const opened = openEntry(
      { bind: "127.0.0.1", ports, options: DEFAULT_OPTIONS, admission: new Admission(DEFAULT_OPTIONS), sweeper },
      new FakeExit(),
    );
    expect(opened).toMatchObject({ ok: false, error: { kind: "inUse", protocol: "tcp", port } });
    if (!opened.ok) expect(opened.error.message).toStartWith(`TCP port ${port} is in use on 127.0.0.1; `);
    taken.entry.close();
  });

  test("a UDP port in use closes the TCP ports again", () => {
    const admission = new Admission(DEFAULT_OPTIONS);
    const attempt = () => {
      const taken = open([any("udp")]);
      const port = portOf(taken.entry);
      const ports = (["tcp", "udp"] as const).map((protocol) => ({
        protocol,
        first: port,
        last: port,
        internalFirst: 1,
      }));
      const spec = { bind: "127.0.0.1", ports, options: DEFAULT_OPTIONS, sweeper, admission };
      return { taken, spec, opened: openEntry(spec, new FakeExit()) };
    };
    let tried = attempt();
    // The same port may be in use for TCP by anybody.
    while (!tried.opened.ok && tried.opened.error.protocol === "tcp") tried = attempt();
    const { taken, spec, opened } = tried;
    expect(opened).toMatchObject({ ok: false, error: { kind: "inUse", protocol: "udp" } });
    taken.entry.close();
    const again = openEntry(spec, new FakeExit());
    expect(again.ok).toBe(true);
    if (again.ok) again.value.close();
  });

  test("an address of another machine", () => {
    const opened = openEntry(
      {
        bind: "203.0.113.1",
        ports: [any("tcp")],
        options: DEFAULT_OPTIONS,
        admission: new Admission(DEFAULT_OPTIONS),
        sweeper,
      },
      new FakeExit(),
    );
    expect(opened).toMatchObject({ ok: false, error: { kind: "noAddress" } });
  });

  test("1,000 ports of each protocol in under a second", async () => {
    const numbers = await freePorts(1_000);
    let entry: Entry | undefined;
    const tookMs = processorMs(() => {
      entry = open([...run("tcp", numbers), ...run("udp", numbers)]).entry;
    });
    expect(tookMs).toBeLessThan(1_000);
    expect(entry?.ports).toHaveLength(2_000);
    entry?.close();
  });

  test("closing frees the ports at once", () => {
    const first = open([any("tcp"), any("udp")]);
    const ports = first.entry.ports.map(({ protocol, endpoint: { port } }) => {
      return { protocol, first: port, last: port, internalFirst: port };
    });
    first.entry.close();
    open(ports).entry.close();
  });

  test("* is both families", async () => {
    const { exit, entry } = open([any("tcp")], DEFAULT_OPTIONS, "*");
    const connected = Promise.withResolvers<void>();
    exit.onConnect = () => connected.resolve();
    const socket = connectNode({ port: portOf(entry), host: "127.0.0.1" });
    await connected.promise;
    expect(exit.visits[0]?.visitor.address).toBe("127.0.0.1");
    expect(exit.visits[0]?.entry).toEqual({ address: "127.0.0.1", port: portOf(entry) });
    socket.destroy();
    entry.close();
  });
});

describe("another port set", () => {
  /** A visitor that is let in, and a service that answers it. */
  async function enter({ exit }: { exit: FakeExit }, port: number) {
    const connected = Promise.withResolvers<void>();
    exit.onConnect = () => connected.resolve();
    const visitor = await visit(port);
    await connected.promise;
    const service = exit.services.at(-1)!;
    service.sink = { ...SILENT_SINK, onData: (bytes) => void service.write(bytes) };
    return visitor;
  }

  test("keeps what both have in common, with its visitors, and cuts the others", async () => {
    const [a, b, c] = (await freePorts(3)) as [number, number, number];
    const lab = open(run("tcp", [a, b]));
    using gone = await enter(lab, a);
    using kept = await enter(lab, b);
    expect(lab.entry.rebind(run("tcp", [b, c]))).toEqual({ ok: true, value: null });
    expect(await gone.ended).toBe("reset");
    expect(await kept.ask("hello")).toBe("hello");
    expect(await outcome(a)).toBe("ECONNREFUSED");
    using added = await enter(lab, c);
    expect(await added.ask("hello")).toBe("hello");
    expect(lab.entry.ports.map(({ endpoint }) => endpoint.port)).toEqual([b, c]);
    expect(lab.entry.visits.counters.visitorsTotal).toBe(3);
    lab.entry.close();
  });

  test("that cannot be had changes nothing", async () => {
    const [a, b, c] = (await freePorts(3)) as [number, number, number];
    const taken = await Bun.udpSocket({ hostname: "127.0.0.1", port: c });
    const lab = open([...run("tcp", [a, b]), ...run("udp", [a])]);
    using visitor = await enter(lab, a);
    const refused = lab.entry.rebind([...run("tcp", [b, c]), ...run("udp", [b, c])]);
    expect(refused).toMatchObject({ ok: false, error: { kind: "inUse", protocol: "udp", port: c } });
    expect(await visitor.ask("hello")).toBe("hello");
    expect(await outcome(c)).toBe("ECONNREFUSED");
    expect(await askUdp(a)).toBe("hello");
    taken.close();
    lab.entry.close();
  });

  test("of UDP keeps the flows of the ports that stay", async () => {
    const [a, b, c] = (await freePorts(3)) as [number, number, number];
    const lab = open(run("udp", [a]));
    expect(await askUdp(a)).toBe("hello");
    expect(lab.entry.rebind(run("udp", [a, b, c])).ok).toBe(true);
    expect(lab.exit.flows[0]?.closed).toBeUndefined();
    expect(await askUdp(c)).toBe("hello");
    expect(await askUdp(b)).toBe("hello");
    expect(lab.entry.rebind(run("udp", [a, b])).ok).toBe(true);
    expect(lab.exit.flows.map(({ closed }) => closed)).toEqual([undefined, "shutdown", undefined]);
    expect(await askUdp(b)).toBe("hello");
    lab.entry.close();
  });
});

describe("TCP visitors", () => {
  test("whom admission refuses are reset, and counted", async () => {
    const { exit, entry } = open([any("tcp")], { ...DEFAULT_OPTIONS, limits: { connections: 0 } });
    expect(await outcome(portOf(entry))).toBe("ECONNRESET");
    expect(exit.visits).toHaveLength(0);
    expect(entry.visits.counters.refused()).toEqual({ connectionLimit: 1 });
    entry.close();
  });

  test("whom the exit refuses are reset, and counted by its reason", async () => {
    const { exit, entry } = open([any("tcp")]);
    exit.refuses = "deviceAway";
    expect(await outcome(portOf(entry))).toBe("ECONNRESET");
    expect(entry.visits.counters.refused()).toEqual({ deviceAway: 1 });
    entry.close();
  });

  test("drain: no new ones, and those that are open go on", async () => {
    const { exit, entry } = open([any("tcp")]);
    const connected = Promise.withResolvers<void>();
    exit.onConnect = () => connected.resolve();
    const socket = connectNode({ port: portOf(entry), host: "127.0.0.1" });
    await connected.promise;
    entry.drain();
    expect(await outcome(portOf(entry))).toBe("ECONNREFUSED");
    const answered = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    exit.services[0]?.write(new TextEncoder().encode("still here"));
    expect(await answered).toBe("still here");
    const cut = new Promise((resolve) => socket.once("error", resolve));
    entry.close();
    expect(await cut).toMatchObject({ code: "ECONNRESET" });
    await entry.visits.drained();
  });

  test("options change without touching who is open", async () => {
    const { exit, entry } = open([any("tcp")]);
    const connected = Promise.withResolvers<void>();
    exit.onConnect = () => connected.resolve();
    const socket = connectNode({ port: portOf(entry), host: "127.0.0.1" });
    await connected.promise;
    const options = { ...DEFAULT_OPTIONS, limits: { connections: 0, bandwidthBytesPerSec: 1_000 } };
    entry.change(options, new Admission(options));
    expect(await outcome(portOf(entry))).toBe("ECONNRESET");
    expect(entry.visits.size).toBe(1);
    socket.destroy();
    entry.close();
  });
});

describe("UDP visitors", () => {
  let entry: Entry;
  let exit: FakeExit;
  beforeEach(async () => {
    ({ entry, exit } = open(run("udp", await freePorts(2))));
  });
  afterEach(() => entry.close());

  /** A visitor's socket, with what it received. */
  async function visitor() {
    const got: { bytes: Uint8Array; port: number }[] = [];
    let heard = Promise.withResolvers<void>();
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (_socket, bytes, port) => {
          got.push({ bytes, port });
          heard.resolve();
          heard = Promise.withResolvers<void>();
        },
      },
    });
    const until = async (count: number) => {
      while (got.length < count) await heard.promise;
      return got;
    };
    return { socket, until };
  }

  test("datagrams of every size come back whole, from the port that was written to", async () => {
    const { socket, until } = await visitor();
    const sizes = [0, 1, 1_400, 9_000, MAX_DATAGRAM_BYTES];
    for (const at of [0, 1]) {
      for (const [sent, size] of sizes.entries()) {
        socket.send(new Uint8Array(size).fill(size % 251), portOf(entry, at), "127.0.0.1");
        const { bytes, port } = (await until(at * sizes.length + sent + 1)).at(-1)!;
        expect([bytes.length, port]).toEqual([size, portOf(entry, at)]);
        expect(bytes.every((byte) => byte === size % 251)).toBe(true);
      }
    }
    socket.close();
  });

  test("1,000 flows keep apart", async () => {
    const visitors = await Promise.all(Array.from({ length: 1_000 }, visitor));
    for (const [at, { socket, until }] of visitors.entries()) {
      socket.send(`I am ${at}`, portOf(entry), "127.0.0.1");
      const [reply] = await until(1);
      expect(new TextDecoder().decode(reply?.bytes)).toBe(`I am ${at}`);
    }
    expect(exit.flows).toHaveLength(1_000);
    for (const { socket } of visitors) socket.close();
  });

  test("an idle flow ends quietly, and the next datagram begins a new one", async () => {
    const { socket, until } = await visitor();
    socket.send("a", portOf(entry), "127.0.0.1");
    await until(1);
    const flow = exit.flows.at(-1);
    const refused = entry.visits.counters.refused();
    entry.visits.sweep(performance.now() + 1_000);
    entry.visits.sweep(performance.now() + 1_000 + DEFAULT_OPTIONS.udpIdleSec * 1_000);
    expect(flow?.closed).toBe("idle");
    expect(entry.visits.size).toBe(0);
    expect(entry.visits.counters.refused()).toEqual(refused);
    socket.send("b", portOf(entry), "127.0.0.1");
    await until(2);
    expect(exit.flows.at(-1)).not.toBe(flow);
    socket.close();
  });

  test("a flow its exit ends is counted by reason", async () => {
    const { socket, until } = await visitor();
    socket.send("a", portOf(entry), "127.0.0.1");
    await until(1);
    exit.flows.at(-1)?.sink.onClose("serviceRefused");
    expect(entry.visits.counters.refused()["serviceRefused"]).toBe(1);
    socket.close();
  });

  test("whom admission refuses gets no flow; a draining port answers no stranger", async () => {
    const options = { ...DEFAULT_OPTIONS, limits: { connections: 1 } };
    const limited = open([any("udp")], options);
    const [first, second] = [await visitor(), await visitor()];
    first.socket.send("a", portOf(limited.entry), "127.0.0.1");
    await first.until(1);
    second.socket.send("b", portOf(limited.entry), "127.0.0.1");
    const { counters } = limited.entry.visits;
    await counted(counters, () => counters.refused()["connectionLimit"] === 1);
    limited.entry.drain();
    first.socket.send("a", portOf(limited.entry), "127.0.0.1");
    await first.until(2);
    expect(limited.exit.flows).toHaveLength(1);
    limited.entry.close();
    expect(limited.exit.flows[0]?.closed).toBe("shutdown");
    first.socket.close();
    second.socket.close();
  });

  test("a reply that is too long is dropped and counted once; those around it arrive, also when the port closes", async () => {
    const port = open([any("udp")]);
    const { socket, until } = await visitor();
    socket.send("a", portOf(port.entry), "127.0.0.1");
    await until(1);
    const { counters } = port.entry.visits;
    for (const bytes of [1, MAX_DATAGRAM_BYTES + 1, 3]) port.exit.flows[0]?.sink.onDatagram(new Uint8Array(bytes));
    port.entry.close();
    expect((await until(3)).map(({ bytes }) => bytes.length)).toEqual([1, 1, 3]);
    expect(counters).toMatchObject({ bytesIn: 1, bytesOut: 5, datagramsDropped: 1 });
    socket.close();
  });

  test("a limit that entries share is one for all of them, and may come later", async () => {
    let shared: Shaper | null = null;
    const entries = [1, 2].map(() => {
      const spec = { bind: "127.0.0.1", ports: [any("udp")], options: DEFAULT_OPTIONS };
      const opened = openEntry(
        { ...spec, admission: new Admission(DEFAULT_OPTIONS), sweeper, shared: () => shared },
        new FakeExit(),
      );
      if (!opened.ok) throw new Error(opened.error.message);
      return opened.value;
    });
    const { socket } = await visitor();
    const send = (bytes: number) => {
      for (const entry of entries) socket.send(new Uint8Array(bytes), portOf(entry), "127.0.0.1");
    };
    const sum = (key: "datagramsDropped" | "bytesOut") =>
      entries.reduce((total, { visits }) => total + visits.counters[key], 0);
    const countedTogether = (until: () => boolean) =>
      Promise.race(entries.map(({ visits }) => counted(visits.counters, until)));
    send(40_000);
    await countedTogether(() => sum("bytesOut") === 80_000);
    shared = new Shaper(1);
    send(40_000);
    // Of 64 KiB one datagram of 40,000 bytes is let through, and its answer is not.
    await countedTogether(() => sum("datagramsDropped") === 2);
    expect(sum("bytesOut")).toBe(80_000);
    for (const entry of entries) entry.close();
    socket.close();
  });

  test("a bandwidth limit drops what is above it", async () => {
    const limited = open([any("udp")], { ...DEFAULT_OPTIONS, limits: { bandwidthBytesPerSec: 1 } });
    const { socket } = await visitor();
    for (let sent = 0; sent < 3; sent++) socket.send(new Uint8Array(40_000), portOf(limited.entry), "127.0.0.1");
    const { counters } = limited.entry.visits;
    await counted(counters, () => counters.datagramsDropped === 2);
    expect(counters.bytesIn).toBeLessThan(120_000);
    limited.entry.close();
    socket.close();
  });
});
