import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { bindingRequest, type ChangeWish, NO_CHANGE } from "../../core/stun/request.ts";
import { bindUdp, type UdpSocket } from "../../dataplanes/io/udp-socket.ts";
import { formatEndpoint } from "../../wire/endpoint.ts";
import { attributeOf, decodeStun, encodeStun } from "../../wire/stun/message.ts";
import { StunServer } from "./server.ts";

const A = "127.0.0.1";
const B = "127.0.0.2";
const ID = "0102030405060708090a0b0c";

let stop: AbortController;
let port: number;
let alternatePort: number;

beforeEach(async () => {
  stop = new AbortController();
  [port, alternatePort] = (await freePorts(2)) as [number, number];
});
afterEach(() => stop.abort());

function newServer(alternate: number | null = alternatePort): StunServer {
  return new StunServer({ port, alternatePort: alternate, nowMs: () => performance.now(), signal: stop.signal });
}

function held(address: string, at: number): UdpSocket {
  const bound = bindUdp(address, at, { data: () => undefined });
  if (!bound.ok) throw bound.error;
  stop.signal.addEventListener("abort", () => bound.value.close());
  return bound.value;
}

/** What comes back: from where, and what it says of places. */
async function ask(address: string, wish: ChangeWish = NO_CHANGE, bytes = bindingRequest(ID, wish)) {
  const heard = Promise.withResolvers<string>();
  const bound = bindUdp("127.0.0.9", 0, {
    data(_socket, datagram, fromPort, from) {
      const decoded = decodeStun(datagram);
      if (!decoded.ok) return heard.reject(new Error(decoded.error.kind));
      const other = attributeOf(decoded.value, "other-address")?.endpoint;
      const mapped = attributeOf(decoded.value, "xor-mapped-address")?.endpoint;
      const saw = mapped?.address === "127.0.0.9" && mapped.port === socket.port ? "me" : "nobody";
      heard.resolve(`${from}:${fromPort} saw ${saw}, other ${other === undefined ? "none" : formatEndpoint(other)}`);
    },
  });
  if (!bound.ok) throw bound.error;
  const { value: socket } = bound;
  socket.send(bytes, port, address);
  const told = await heard.promise;
  socket.close();
  return told;
}

const both = [
  { address: A, other: B },
  { address: B, other: A },
];

describe("answers", () => {
  test("come from the address that was asked, and name the other", async () => {
    expect(newServer().apply(both)).toEqual([]);
    expect(await ask(A)).toBe(`${A}:${port} saw me, other ${B}:${alternatePort}`);
    expect(await ask(B)).toBe(`${B}:${port} saw me, other ${A}:${alternatePort}`);
  });

  test("come from elsewhere when that is asked for", async () => {
    newServer().apply(both);
    const other = `saw me, other ${B}:${alternatePort}`;
    expect(await ask(A, { address: false, port: true })).toBe(`${A}:${alternatePort} ${other}`);
    expect(await ask(A, { address: true, port: false })).toBe(`${B}:${port} ${other}`);
    expect(await ask(A, { address: true, port: true })).toBe(`${B}:${alternatePort} ${other}`);
  });

  test("name no other address when there is one only, or when not all four places are open", async () => {
    const server = newServer();
    server.apply([{ address: A, other: null }]);
    expect(await ask(A)).toBe(`${A}:${port} saw me, other none`);
    expect(await ask(A, { address: false, port: true })).toBe(`${A}:${alternatePort} saw me, other none`);
    held(B, alternatePort);
    expect(server.apply(both)).toHaveLength(1);
    expect(await ask(A)).toBe(`${A}:${port} saw me, other none`);
    expect(await ask(B)).toBe(`${B}:${port} saw me, other none`);
  });

  test("and none without a second port", async () => {
    newServer(null).apply(both);
    expect(await ask(A)).toBe(`${A}:${port} saw me, other none`);
    expect(await ask(A, { address: false, port: true })).toBe(`${A}:${port} saw nobody, other none`);
  });

  test("are counted, and what gets none as well", async () => {
    const server = newServer();
    server.apply([{ address: A, other: null }]);
    const client = held("127.0.0.9", 0);
    client.send(encodeStun({ kind: "request", transactionId: ID, attributes: [], fingerprint: false }), port, A);
    client.send("hello", port, A);
    // Sent after them and from the same host, so heard after them.
    await ask(A);
    expect(server.counts).toEqual({ answered: 1, unsent: 0, ignored: 1, tooMany: 0, short: 1 });
  });
});

describe("what is served", () => {
  const open = (server: StunServer) => server.endpoints.map(formatEndpoint).toSorted();

  test("is what was said last", () => {
    const server = newServer();
    server.apply(both);
    expect(open(server)).toHaveLength(4);
    server.apply([{ address: B, other: null }]);
    expect(open(server)).toEqual([`${B}:${port}`, `${B}:${alternatePort}`].toSorted());
    server.apply([]);
    expect(open(server)).toEqual([]);
  });

  test("IPv6 too", () => {
    const server = newServer();
    expect(server.apply([{ address: "::1", other: null }])).toEqual([]);
    expect(open(server)).toEqual([`[::1]:${port}`, `[::1]:${alternatePort}`].toSorted());
  });

  test("a port that another has is named, and served when it is free", () => {
    const blocker = held(A, port);
    const server = newServer();
    const failures = server.apply(both);
    expect(failures.map(({ message }) => message)).toEqual([
      `UDP port ${port} is in use on ${A}; stop the program that has it or choose another port.`,
    ]);
    expect(open(server)).toEqual([`${B}:${port}`, `${B}:${alternatePort}`].toSorted());
    blocker.close();
    expect(server.apply(both)).toEqual([]);
    expect(open(server)).toHaveLength(4);
  });

  test("an address that is not this machine's is named", () => {
    const [failure] = newServer().apply([{ address: "192.0.2.1", other: null }]);
    expect(failure).toMatchObject({ kind: "noAddress" });
  });

  test("ends with the signal, for good", () => {
    const server = newServer();
    server.apply(both);
    stop.abort();
    expect(open(server)).toEqual([]);
    expect(server.apply(both)).toEqual([]);
    expect(open(server)).toEqual([]);
    held(A, port).close();
  });
});
