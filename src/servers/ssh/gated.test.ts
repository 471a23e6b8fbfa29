import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Client } from "ssh2";
import { type HeaderPace, startBalancer } from "../../../test/fixtures/balancer.ts";
import { Bell } from "../../../test/fixtures/tunnel-lab.ts";
import { ProxyGate, type ProxyRefusal } from "../../dataplanes/io/proxy-gate.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { makeSshKey } from "../../roles/relay/ssh/host-key.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { encodeProxyHeader, type ProxyHeader } from "../../wire/proxy-protocol.ts";
import { ok } from "../../wire/result.ts";
import { SshServer } from "./server.ts";

/** The SSH port behind a load balancer: a header before the banner from those who are listed, and from nobody else. */
const HERE = "127.0.0.0/8";
const ELSEWHERE = "10.0.0.0/8";
const CLIENT = { address: "192.0.2.1", port: 56_324 };
const FRONT = { address: "198.51.100.2", port: 22 };
const NAMED: ProxyHeader = { kind: "visitor", transport: "stream", source: CLIENT, destination: FRONT };
const V1 = encodeProxyHeader("v1", NAMED);
const V2 = encodeProxyHeader("v2", NAMED);
const key = makeSshKey("known");
const hostKey = makeSshKey("host").private;

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

let stop: () => void;
afterEach(() => stop());

function startServer(list: readonly string[]) {
  let nowMs = 0;
  const refused: [ProxyRefusal, string][] = [];
  const found: string[] = [];
  const opened: { address: string; localAddress: string; ends: unknown }[] = [];
  const gate = new ProxyGate({ nowMs: () => nowMs, onRefused: (...refusal) => refused.push(refusal) });
  gate.change(list.map(cidr));
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal);
  const bell = new Bell();
  let descriptors = 0;
  const count = (change: number) => () => {
    descriptors += change;
    bell.ring();
  };
  Object.assign(sweeper.descriptors, { taken: count(1), given: count(-1) });
  const server = new SshServer<string>({
    hostname: "127.0.0.1",
    port: 0,
    hostKey,
    version: "1.2.3",
    sweeper,
    gate,
    nowMs: () => performance.now(),
    random: Math.random,
    find: async (_, address) => {
      found.push(address);
      return "ada";
    },
    serving: () => true,
    open(_, connection) {
      const { remoteAddress: address, localAddress, ends } = connection;
      opened.push({ address, localAddress, ends });
      return {
        forward: async ({ port }) => ok(port || 40_000),
        cancelForward: async () => true,
        forwardSocket: async () => ok(null),
        cancelSocket: async () => true,
        dial: (_target, channel) => channel.reset("policy"),
        dialSocket: (_path, channel) => channel.reset("policy"),
        view: { lines: () => [], counters: () => "" },
        closed: () => undefined,
      };
    },
    onDenied: () => undefined,
    onUnexpected: (error) => {
      throw error;
    },
  });
  server.listen();
  stop = () => {
    server.close();
    abort.abort();
  };
  const pass = (ms: number) => {
    nowMs += ms;
    gate.sweep(nowMs);
  };
  /** Resolves when every connection was given back, and none twice. */
  const emptied = () => bell.when(() => descriptors === 0);
  return { server, refused, found, opened, pass, emptied };
}

/** Logs in and asks for a port; resolves when the connection is gone again. */
async function forwardOne(port: number): Promise<number> {
  const client = new Client();
  const gone = new Promise<void>((resolve) => client.once("close", resolve));
  const ready = new Promise<void>((resolve, reject) => client.once("ready", resolve).on("error", reject));
  client.connect({ host: "127.0.0.1", port, username: "x", privateKey: key.private });
  await ready;
  const got = await new Promise<number>((resolve, reject) =>
    client.forwardIn("", 0, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  client.end();
  await gone;
  return got;
}

/** What the server says to a client that sends the bytes, until it closes; `banner` resolves with the first of it. */
function say(port: number, bytes: Uint8Array | string) {
  const banner = Promise.withResolvers<string>();
  const closed = Promise.withResolvers<string>();
  let heard = "";
  const socket = connect({ host: "127.0.0.1", port }, () => void socket.write(bytes));
  socket.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
    banner.resolve(heard);
  });
  socket.on("error", () => undefined);
  socket.on("close", () => closed.resolve(heard));
  return { banner: banner.promise, closed: closed.promise, socket };
}

describe("a listed balancer's clients", () => {
  test.each<[string, Uint8Array, HeaderPace]>([
    ["version 2", V2, "before"],
    ["version 1", V1, "before"],
    ["version 2, one byte at a time", V2, "by byte"],
  ])("%s: the address is the client's own wherever it counts", async (_, header, pace) => {
    const { server, found, opened, refused, emptied } = startServer([HERE]);
    await using balancer = await startBalancer(server.port, header, pace);
    expect(await forwardOne(balancer.port)).toBe(40_000);
    expect(new Set(found)).toEqual(new Set([CLIENT.address]));
    expect(opened).toMatchObject([
      {
        address: `${CLIENT.address}:${CLIENT.port}`,
        localAddress: FRONT.address,
        ends: { visitor: CLIENT, entry: FRONT },
      },
    ]);
    expect(refused).toEqual([]);
    await emptied();
  });

  test("the banner waits for the header, and what comes with it is the client's", async () => {
    const { server } = startServer([HERE]);
    const client = say(server.port, Buffer.concat([V2, new TextEncoder().encode("SSH-2.0-test\r\n")]));
    expect(await client.banner).toStartWith("SSH-2.0-Hatchway_1.2.3");
    client.socket.end();
    await client.closed;
  });

  test.each<[string, Uint8Array | string, ProxyRefusal]>([
    ["no header", "SSH-2.0-test\r\n", "missing"],
    ["a wrong header", "PROXY TCP9 nonsense\r\n", "wrong"],
  ])("%s: cut without a banner, and told", async (_, bytes, refusal) => {
    const { server, refused, found, emptied } = startServer([HERE]);
    expect(await say(server.port, bytes).closed).toBe("");
    expect(refused).toEqual([[refusal, "127.0.0.1"]]);
    await emptied();
    expect([found, server.counts.pending]).toEqual([[], 0]);
  });

  test("no header in time, or the end of the server: cut without a banner", async () => {
    const { server, refused, pass } = startServer([HERE]);
    const slow = say(server.port, "PROXY ");
    await say(server.port, "nonsense").closed;
    pass(60_000);
    expect(await slow.closed).toBe("");
    expect(refused).toHaveLength(2);
    const later = say(server.port, "PROXY ");
    await say(server.port, "nonsense").closed;
    server.close();
    expect(await later.closed).toBe("");
  });
});

describe("clients that come themselves", () => {
  test.each([
    ["nobody is listed", []],
    ["somebody else is listed", [ELSEWHERE]],
  ])("%s: as ever", async (_, list) => {
    const { server, opened, emptied } = startServer(list);
    expect(await forwardOne(server.port)).toBe(40_000);
    expect(opened[0]).toMatchObject({ localAddress: "127.0.0.1", ends: { visitor: { address: "127.0.0.1" } } });
    await emptied();
  });

  test("the banner comes at once", async () => {
    const { server } = startServer([ELSEWHERE]);
    const client = say(server.port, "");
    expect(await client.banner).toStartWith("SSH-2.0-Hatchway_1.2.3");
    client.socket.end();
    await client.closed;
  });

  test.each([
    ["version 1", V1],
    ["version 2", V2],
  ])("a header of %s is refused, and told", async (_, header) => {
    const { server, refused, found } = startServer([ELSEWHERE]);
    await using balancer = await startBalancer(server.port, header, "before");
    await expect(forwardOne(balancer.port)).rejects.toThrow();
    expect(refused).toEqual([["unlisted", "127.0.0.1"]]);
    expect([found, server.counts.pending]).toEqual([[], 0]);
  });
});
