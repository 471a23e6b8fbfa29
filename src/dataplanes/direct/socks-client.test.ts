import { afterAll, describe, expect, test } from "bun:test";
import { Recorder } from "../../../test/contract/recorder.ts";
import { tcpService, udpService } from "../../../test/fixtures/services.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { openProxy } from "../../servers/proxy/server.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { FlowSink, Visit } from "../io/ends.ts";
import { startSweeper } from "../io/sweeper.ts";
import { Dials } from "./dial.ts";
import { directExit } from "./exit.ts";
import { systemResolver } from "./resolver.ts";
import { SocksEnd, SocksFlow } from "./socks-client.ts";

const HERE = "127.0.0.1";
const FORBIDDEN_PORT = 9;
const VISIT: Visit = {
  visitor: { address: HERE, port: 0 },
  entry: { address: HERE, port: 0 },
  externalPort: 0,
};
const text = new TextEncoder();
const abort = new AbortController();
const sweeper = startSweeper(abort.signal, 10);
const dials = new Dials(sweeper);
afterAll(() => abort.abort());

function exitTo(target: HostPort | null) {
  return directExit({
    target: (visit) => target ?? visit.destination ?? null,
    allows: { name: (_host, port) => port !== FORBIDDEN_PORT, address: () => true },
    resolver: systemResolver(),
    dials,
    proxyProtocol: () => null,
  });
}

/** The product's own proxy. */
function ourProxy(credentials: { username: string; password: string } | null = null) {
  const opened = openProxy(
    {
      bind: HERE,
      ports: [{ protocol: "tcp", first: 0, last: 0, internalFirst: 0 }],
      options: DEFAULT_OPTIONS,
      admission: new Admission(DEFAULT_OPTIONS),
      sweeper,
      credentials: () => credentials,
    },
    exitTo(null),
  );
  if (!opened.ok) throw new Error(opened.error.message);
  const port = opened.value.ports[0]?.endpoint.port ?? 0;
  return { port, [Symbol.dispose]: () => opened.value.close() };
}

/** A proxy that answers what a test writes down, one answer for each thing it hears. */
function scriptedProxy(...answers: readonly (string | null)[]) {
  const listener = Bun.listen<{ next: number }>({
    hostname: HERE,
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { next: 0 };
      },
      data: (socket) => {
        const answer = answers[socket.data.next++];
        if (answer === null) socket.end();
        else if (answer !== undefined) socket.write(Uint8Array.fromHex(answer.replaceAll(" ", "")));
      },
      error: () => undefined,
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

function connect(proxyPort: number, destination: HostPort) {
  const dialled = exitTo({ host: HERE, port: proxyPort }).connect(VISIT);
  const end = new SocksEnd(dialled, destination, () => sweeper.nowMs());
  return { end, heard: new Recorder(end) };
}

/** What came to a flow, or why it ended. */
function flowTo(proxyPort: number, destination: HostPort) {
  const dialled = exitTo({ host: HERE, port: proxyPort }).connect(VISIT);
  const flow = new SocksFlow(dialled, destination, { sweeper, nowMs: () => sweeper.nowMs(), proxyAddress: HERE });
  const outcome = Promise.withResolvers<string>();
  const sink: FlowSink = {
    onDatagram: (datagram) => outcome.resolve(`got ${Buffer.from(datagram).toString()}`),
    onClose: (reason: ReasonName | null) => outcome.resolve(`closed: ${reason}`),
  };
  flow.sink = sink;
  return { flow, outcome: outcome.promise };
}

describe("a connection through a SOCKS5 proxy", () => {
  test("reaches the destination, and says when it was asked for", async () => {
    using service = tcpService("db");
    using proxy = ourProxy();
    const startedMs = sweeper.nowMs();
    const { end, heard } = connect(proxy.port, { host: HERE, port: service.port });
    expect(end.askedMs).toBeNull();
    await heard.whenOpen();
    expect(end.askedMs).toBeGreaterThanOrEqual(startedMs);
    expect(end.askedMs).toBeLessThanOrEqual(sweeper.nowMs());
    end.write(text.encode("hello"));
    await heard.whenBytes(8);
    expect(heard.text).toBe("db:hello");
    end.end();
    await heard.whenClosed();
    expect(heard.closed).toBeNull();
    expect(heard.events).toEqual(["open", "data", "end", "close"]);
  });

  test("goes by name, and takes what is written before it is open", async () => {
    using service = tcpService("db");
    using proxy = ourProxy();
    const { end, heard } = connect(proxy.port, { host: "localhost", port: service.port });
    end.write(text.encode("early"));
    await heard.whenBytes(8);
    expect(heard.text).toBe("db:early");
    end.reset("shutdown");
    expect(heard.closed).toBe("shutdown");
  });

  for (const { name, reply, reason } of [
    { name: "nothing listens", reply: "05 05 00 01 00000000 0000", reason: "serviceRefused" },
    { name: "the proxy does not allow it", reply: "05 02 00 01 00000000 0000", reason: "exitNotAllowed" },
    { name: "no route", reply: "05 04 00 01 00000000 0000", reason: "serviceUnreachable" },
    { name: "a time-out", reply: "05 06 00 01 00000000 0000", reason: "serviceTimeout" },
    { name: "a code of the proxy's own", reply: "05 5b 00 01 00000000 0000", reason: "reset" },
    { name: "a reply of another protocol", reply: "485454502f312e31", reason: "protocolError" },
    { name: "an end instead of a reply", reply: null, reason: "reset" },
  ]) {
    test(`fails with the proxy's reason: ${name}`, async () => {
      using proxy = scriptedProxy("05 00", reply);
      const { heard } = connect(proxy.port, { host: HERE, port: 1 });
      await heard.whenClosed();
      expect([heard.opened, heard.closed as string]).toEqual([false, reason]);
    });
  }

  test("is refused by our own proxy in the same words", async () => {
    using proxy = ourProxy();
    const { heard } = connect(proxy.port, { host: HERE, port: FORBIDDEN_PORT });
    await heard.whenClosed();
    expect(heard.closed).toBe("exitNotAllowed");
  });

  test("is not made through a proxy that asks for credentials", async () => {
    using proxy = ourProxy({ username: "ann", password: "s3cret" });
    const { heard } = connect(proxy.port, { host: HERE, port: 1 });
    await heard.whenClosed();
    expect(heard.closed).toBe("policy");
  });

  test("is not made when nothing listens at the proxy's port", async () => {
    let port = 0;
    {
      using proxy = scriptedProxy();
      port = proxy.port;
    }
    const { heard } = connect(port, { host: HERE, port: 1 });
    await heard.whenClosed();
    expect(heard.closed).toBe("serviceRefused");
  });

  test("takes a reply byte by byte, and what follows it in the same segment", async () => {
    using proxy = scriptedProxy("05 00", "05 00 00 03 01 61 0000 68656c6c6f");
    const { end, heard } = connect(proxy.port, { host: HERE, port: 1 });
    await heard.whenBytes(5);
    expect([heard.events.join(), heard.text]).toEqual(["open,data", "hello"]);
    end.reset("shutdown");
  });
});

describe("a flow through a SOCKS5 proxy", () => {
  test("carries datagrams both ways without the proxy's header", async () => {
    using service = await udpService("dns");
    using proxy = ourProxy();
    const { flow, outcome } = flowTo(proxy.port, { host: HERE, port: service.port });
    expect(flow.send(text.encode("hello"))).toBe(true);
    expect(await outcome).toBe("got dns:hello");
    expect(flow.askedMs).not.toBeNull();
    flow.close(null);
  });

  for (const { name, answers, reason } of [
    { name: "the proxy has no UDP", answers: ["05 00", "05 07 00 01 00000000 0000"], reason: "protocolError" },
    { name: "the proxy asks for credentials", answers: ["05 ff"], reason: "policy" },
    { name: "the proxy ends the association", answers: ["05 00", null], reason: "reset" },
  ]) {
    test(`ends: ${name}`, async () => {
      using proxy = scriptedProxy(...answers);
      const { flow, outcome } = flowTo(proxy.port, { host: HERE, port: 1 });
      flow.send(text.encode("hello"));
      expect(await outcome).toBe(`closed: ${reason}`);
    });
  }
});
