import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type HeaderPace, startBalancer } from "../../../test/fixtures/balancer.ts";
import { makeZoo, openStream, RawCarrier, Side, TunnelLab } from "../../../test/fixtures/tunnel-lab.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { encodeProxyHeader, type ProxyHeader } from "../../wire/proxy-protocol.ts";
import { ProxyGate, type ProxyRefusal } from "../io/proxy-gate.ts";
import type { RelayTunnelOptions } from "./relay.ts";

/** The agent port behind a load balancer: a header before TLS, and real TLS after it. */
const zoo = await makeZoo();
const HERE = "127.0.0.0/8";
const ELSEWHERE = "10.0.0.0/8";
const AGENT = { address: "192.0.2.1", port: 56_324 };
const FRONT = { address: "198.51.100.2", port: 7744 };
const NAMED: ProxyHeader = { kind: "visitor", transport: "stream", source: AGENT, destination: FRONT };
const V1 = encodeProxyHeader("v1", NAMED);
const V2 = encodeProxyHeader("v2", NAMED);

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

let lab: TunnelLab;
afterEach(() => lab.close());

function startLab(list: readonly string[], options: Partial<RelayTunnelOptions> = {}) {
  let nowMs = 0;
  const refused: [ProxyRefusal, string][] = [];
  const admitted: string[] = [];
  const hosts: string[] = [];
  const gate = new ProxyGate({ nowMs: () => nowMs, onRefused: (...refusal) => refused.push(refusal) });
  gate.change(list.map(cidr));
  lab = new TunnelLab(zoo, {
    gate,
    admit: (address) => {
      admitted.push(address);
      return lab.admits;
    },
    publicHost: (localAddress) => {
      hosts.push(localAddress);
      return localAddress;
    },
    ...options,
  });
  const pass = (ms: number) => {
    nowMs += ms;
    gate.sweep(nowMs);
  };
  return { lab, gate, refused, admitted, hosts, pass };
}

/** Sends the bytes as an unencrypted client; resolves to what came until the end. */
function say(bytes: Uint8Array | string, end = false): Promise<Buffer> {
  return new Promise((resolve) => {
    const heard: Buffer[] = [];
    const socket = connect({ host: "127.0.0.1", port: lab.relay.port }, () => {
      socket.write(bytes);
      if (end) socket.end();
    });
    socket.on("data", (chunk: Buffer) => heard.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Buffer.concat(heard)));
  });
}

/** The bytes go to the relay and come back, by a stream that an agent at `port` serves. */
async function echoed(port: number, bytes: number): Promise<{ readonly back: number; readonly address: string }> {
  const agent = new Side();
  agent.onStream = (stream) => {
    stream.sink = {
      onOpen: () => undefined,
      onData: (chunk) => stream.backlog(stream.write(chunk)),
      onDrain: (queued) => stream.backlog(queued),
      onEnd: () => stream.end(),
      onClose: () => undefined,
    };
    stream.opened?.();
  };
  const { relaySession } = await lab.connect("nas", { relay: { host: "127.0.0.1", port }, events: agent.events });
  const stream = openStream(relaySession);
  let back = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.sink = {
    onOpen: () => undefined,
    onData: (chunk) => {
      back += chunk.length;
      stream.backlog(0);
    },
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => resolve(),
  };
  stream.write(new Uint8Array(bytes).fill(7));
  stream.end();
  await promise;
  return { back, address: relaySession.remoteAddress };
}

describe("a listed balancer's agents", () => {
  const paces: [string, Uint8Array, HeaderPace][] = [
    ["version 2, in one read with the ClientHello", V2, "together"],
    ["version 1, in one read with the ClientHello", V1, "together"],
    ["version 2 before the ClientHello", V2, "before"],
    ["version 2, one byte at a time", V2, "by byte"],
  ];
  test.each(paces)("%s: the address is the agent's own wherever it counts", async (_, header, pace) => {
    const { admitted, hosts, refused } = startLab([HERE]);
    await using balancer = await startBalancer(lab.relay.port, header, pace);
    expect(await echoed(balancer.port, 3_000_000)).toEqual({ back: 3_000_000, address: AGENT.address });
    expect(admitted).toEqual(Array.from({ length: 5 }, () => AGENT.address));
    expect(lab.settled).toEqual(Array.from({ length: 5 }, () => ({ address: AGENT.address, outcome: "accepted" })));
    expect(hosts).toEqual([FRONT.address]);
    expect(refused).toEqual([]);
  });

  test.each([
    ["a client certificate of the CA", true, zoo.good],
    ["a stranger's client certificate", false, zoo.rogue],
    ["no client certificate", false, null],
  ])("where agents need one, %s: taken %p", async (_, taken, certificate) => {
    startLab([HERE], { clientCa: zoo.authority.certificatePem });
    await using balancer = await startBalancer(lab.relay.port, V2, "together");
    const outcome = await lab.tryConnect(
      lab.agentOptions(lab.device("nas"), new Side(), {
        relay: { host: "127.0.0.1", port: balancer.port },
        clientCertificate: certificate === null ? null : { cert: certificate.certificatePem, key: certificate.keyPem },
      }),
    );
    expect(outcome.ok).toBe(taken);
    expect(lab.shown.at(0)?.certificateNames?.includes("localhost") ?? false).toBe(taken);
  });

  test("a balancer's own health check is its own", async () => {
    const { admitted, refused } = startLab([HERE]);
    await say(encodeProxyHeader("v2", { kind: "local" }), true);
    expect(admitted).toEqual(["127.0.0.1"]);
    expect(lab.settled).toEqual([{ address: "127.0.0.1", outcome: "gone" }]);
    expect(refused).toEqual([]);
  });

  test("a source that is not admitted is cut before TLS, by the address in the header", async () => {
    const { admitted } = startLab([HERE]);
    lab.admits = false;
    await using balancer = await startBalancer(lab.relay.port, V2, "together");
    await expect(RawCarrier.connect(balancer.port)).rejects.toThrow();
    expect(admitted).toEqual([AGENT.address]);
    expect(lab.settled).toEqual([]);
  });

  test.each<[string, Uint8Array | string, ProxyRefusal]>([
    ["TLS without a header", Uint8Array.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 0), "missing"],
    ["a wrong header", "PROXY TCP9 nonsense\r\n", "wrong"],
    ["a header for datagrams", encodeProxyHeader("v2", { ...NAMED, transport: "datagram" }), "wrong"],
  ])("%s: cut, and told", async (_, bytes, refusal) => {
    const { admitted, refused } = startLab([HERE]);
    expect(await say(bytes)).toEqual(Buffer.alloc(0));
    expect(refused).toEqual([[refusal, "127.0.0.1"]]);
    expect(admitted).toEqual([]);
  });

  test("no header in time: cut, and told", async () => {
    const { refused, pass } = startLab([HERE]);
    const answer = say("PROXY ");
    // The relay has it when it has answered somebody who came later.
    await say("nonsense");
    pass(60_000);
    expect(await answer).toEqual(Buffer.alloc(0));
    expect(refused).toEqual([
      ["missing", "127.0.0.1"],
      ["missing", "127.0.0.1"],
    ]);
  });

  test("bytes after a good header that are no TLS", async () => {
    const { refused } = startLab([HERE]);
    for (let i = 0; i < 20; i++) await say(Buffer.concat([V2, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")]));
    expect(lab.settled.map(({ address }) => address)).toEqual(Array.from({ length: 20 }, () => AGENT.address));
    expect([lab.relay.pendingCount, lab.relay.sessionCount, refused.length]).toEqual([0, 0, 0]);
  });

  test("the relay that ends cuts what waits for its header", async () => {
    startLab([HERE]);
    const answer = say("PROXY ");
    await say("nonsense");
    lab.close();
    expect(await answer).toEqual(Buffer.alloc(0));
  });
});

describe("agents that come themselves", () => {
  test.each([
    ["nobody is listed", []],
    ["somebody else is listed", [ELSEWHERE]],
  ])("%s: as ever", async (_, list) => {
    const { admitted, hosts } = startLab(list);
    expect(await echoed(lab.relay.port, 3_000_000)).toEqual({ back: 3_000_000, address: "127.0.0.1" });
    expect(admitted).toEqual(Array.from({ length: 5 }, () => "127.0.0.1"));
    expect(hosts).toEqual(["127.0.0.1"]);
  });

  test.each([
    ["version 1", V1],
    ["version 2", V2],
  ])("a header of %s is refused, and told", async (_, header) => {
    const { refused } = startLab([ELSEWHERE]);
    await using balancer = await startBalancer(lab.relay.port, header, "together");
    await expect(RawCarrier.connect(balancer.port)).rejects.toThrow();
    expect(refused).toEqual([["unlisted", "127.0.0.1"]]);
    await lab.atRelay.bell.when(() => lab.settled.length === 1);
    expect(lab.settled[0]?.address).toBe("127.0.0.1");
  });
});

test("a changed list holds for who comes from then on, and sessions stay", async () => {
  const { gate, refused } = startLab([]);
  await using balancer = await startBalancer(lab.relay.port, V2, "together");
  const { relaySession } = await lab.connect("direct");
  const { port } = lab.relay;
  gate.change([cidr(HERE)]);
  lab.relay.gateChanged();
  expect(await echoed(balancer.port, 10_000)).toMatchObject({ address: AGENT.address });
  await expect(RawCarrier.connect(lab.relay.port)).rejects.toThrow();
  expect(refused).toEqual([["missing", "127.0.0.1"]]);
  lab.relay.renew({ cert: zoo.good.certificatePem, key: zoo.good.keyPem });
  expect(await echoed(balancer.port, 10_000)).toMatchObject({ address: AGENT.address });
  gate.change([]);
  lab.relay.gateChanged();
  expect(await echoed(lab.relay.port, 10_000)).toMatchObject({ address: "127.0.0.1" });
  expect(lab.relay.port).toBe(port);
  expect(lab.relay.session("direct")).toBe(relaySession);
});
