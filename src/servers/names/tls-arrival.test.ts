import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, createSecureContext, type TLSSocket } from "node:tls";
import { testAuthority } from "../../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { until } from "../../../test/fixtures/roles-lab.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { ForwardCounters } from "../../dataplanes/io/counters.ts";
import { endPair } from "../../dataplanes/io/end-pair.ts";
import type { Visit } from "../../dataplanes/io/ends.ts";
import { openNamed } from "../../dataplanes/io/entry.ts";
import { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { parseCidr } from "../../wire/address.ts";
import { NamesServer } from "./server.ts";

const HERE = "127.0.0.1";
const NAME = "open.example.org";
/** Lets one connection in at a time: whoever leaves something behind keeps the next one out. */
const NARROW = "narrow.example.org";
const LARGE_BYTES = 16 * 1_048_576;
const PATIENCE_MS = 10_000;

const running = new AsyncDisposableStack();
const ended = new AbortController();
let server: NamesServer;
let port: number;
let ca: string;
let narrow: ForwardCounters;
let gate: ProxyGate;
/** Their addresses, as services are told. */
const visitors: string[] = [];
/** Lets time pass: whoever has used his up hears of it. */
let pass: (ms: number) => void;

beforeAll(async () => {
  let nowMs = 0;
  const swept = new Set<{ sweep(nowMs: number): void }>();
  pass = (ms) => {
    nowMs += ms;
    for (const item of [...swept]) item.sweep(nowMs);
  };
  const sweeper = {
    ...startSweeper(ended.signal),
    nowMs: () => nowMs,
    add: (item: { sweep(nowMs: number): void }) => void swept.add(item),
  };
  const authority = await testAuthority("CA of the sites");
  const { certificatePem, keyPem } = await authority.issue({ names: ["*.example.org"] });
  ca = authority.certificatePem;
  const certificate = createSecureContext({ cert: certificatePem, key: keyPem, minVersion: "TLSv1.2" });
  gate = new ProxyGate({ nowMs: () => nowMs, onRefused: () => undefined });
  server = new NamesServer({
    sweeper,
    gate,
    certificate: () => certificate,
    unexpected: (error) => {
      throw error;
    },
  });
  const opened = server.openHttps({ host: HERE, port: 0 });
  if (!opened.ok) throw new Error(opened.error.message);
  port = server.ports.https ?? 0;
  const open = (name: string, limits: object) => {
    const options = { ...DEFAULT_OPTIONS, limits };
    const { host } = openNamed(
      { bind: HERE, ports: [], options, admission: new Admission(options), sweeper },
      { connect: service, openFlow: () => Promise.reject(new Error("no flows")) as never },
    );
    server.sites.add({
      spec: { hosts: [name], tls: "end", service: "http1", logins: [] },
      host,
      externalPort: port,
    });
    return host.visits.counters;
  };
  open(NAME, {});
  narrow = open(NARROW, { connections: 1 });
});
afterAll(async () => {
  server.close();
  ended.abort();
  await running.disposeAsync();
});

/** Answers each request with so many bytes as its path says, and as fast as they are taken. */
function service({ visitor }: Visit) {
  visitors.push(visitor.address);
  const { a, b } = endPair();
  const piece = new Uint8Array(65_536).fill(120);
  let left = 0;
  const pour = () => {
    while (left > 0) {
      const size = Math.min(left, piece.length);
      left -= size;
      if (b.write(piece.subarray(0, size)) > 0) return;
    }
  };
  b.sink = {
    ...SILENT_SINK,
    onData: (bytes) => {
      left = Number(/^GET \/(\d+)/.exec(Buffer.from(bytes).toString("latin1"))?.[1]);
      b.write(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${left}\r\n\r\n`));
      pour();
    },
    onDrain: pour,
    onEnd: () => b.end(),
  };
  return a;
}

/** How a client's TLS is sent: what it writes, and the how-manieth time that is. */
type Send = (raw: Socket, bytes: Buffer, flight: number) => void;

/** By way of somebody who hands on what it sends, as `send` does, and all that it is sent. */
async function client(options: ConnectionOptions = {}, send?: Send): Promise<TLSSocket> {
  const way = createServer((near) => {
    const far = connectTcp({ host: HERE, port, noDelay: true });
    let flight = 0;
    near.on("data", (bytes: Buffer) => {
      flight += 1;
      if (send === undefined) far.write(bytes);
      else send(far, bytes, flight);
    });
    far.on("data", (bytes) => near.write(bytes));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => undefined);
      one.on("end", () => other.end());
      one.on("close", () => other.destroy());
    }
  });
  way.listen(0, HERE);
  await once(way, "listening");
  const { port: wayPort } = way.address() as { readonly port: number };
  const socket = connectTls({ host: HERE, port: wayPort, servername: NAME, ca, ...options });
  socket.on("error", () => undefined);
  socket.on("close", () => way.close());
  return socket;
}

const request = (socket: TLSSocket, name = NAME) => socket.write(`GET /4 HTTP/1.1\r\nHost: ${name}\r\n\r\n`);

interface Heard {
  readonly answer: string;
  readonly protocol: string | false | null;
  readonly version: string | null;
  readonly isResumed: boolean;
  readonly ticket: Buffer | null;
}

/** One request by a connection of its own; null = it was refused. */
async function visit(options: ConnectionOptions = {}, send?: Send): Promise<Heard | null> {
  const socket = await client(options, send);
  const heard = Promise.withResolvers<Heard | null>();
  let ticket: Buffer | null = null;
  let told: Omit<Heard, "answer" | "ticket"> = { protocol: null, version: null, isResumed: false };
  let answer = "";
  socket.on("session", (session) => {
    ticket = session;
  });
  socket.on("secureConnect", () => {
    told = {
      protocol: socket.alpnProtocol,
      version: socket.getProtocol(),
      isResumed: socket.isSessionReused(),
    };
    request(socket, options.servername);
  });
  socket.on("data", (bytes: Buffer) => {
    answer += bytes.toString("latin1");
    if (!answer.endsWith("xxxx")) return;
    heard.resolve({ ...told, ticket, answer: answer.slice(0, "HTTP/1.1 200".length) });
  });
  socket.on("close", () => heard.resolve(null));
  const result = await heard.promise;
  socket.destroy();
  return result;
}

const OK = { answer: "HTTP/1.1 200" };

test.each<[string, ConnectionOptions, Partial<Heard> | null]>([
  ["offers nothing", {}, { ...OK, protocol: false, version: "TLSv1.3" }],
  ["offers HTTP/1.1", { ALPNProtocols: ["http/1.1"] }, { ...OK, protocol: "http/1.1" }],
  ["offers something else as well", { ALPNProtocols: ["spdy/3", "http/1.1"] }, { ...OK, protocol: "http/1.1" }],
  ["offers something else", { ALPNProtocols: ["spdy/3"] }, null],
  ["speaks TLS 1.2", { maxVersion: "TLSv1.2" }, { ...OK, version: "TLSv1.2" }],
  ["speaks TLS 1.1", { minVersion: "TLSv1", maxVersion: "TLSv1.1" }, null],
  ["has no cipher of ours", { maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-SHA256" }, null],
])("a visitor who %s", async (_what, options, expected) => {
  const heard = await visit(options);
  if (expected === null) expect(heard).toBeNull();
  else expect(heard).toMatchObject(expected);
});

test.each(["TLSv1.2", "TLSv1.3"] as const)("a ticket of %s is good for the next connection", async (version) => {
  const first = await visit({ maxVersion: version, minVersion: version });
  expect(first?.isResumed).toBe(false);
  const again = { maxVersion: version, minVersion: version, session: first?.ticket ?? undefined };
  expect(await visit({ ...again, ALPNProtocols: ["http/1.1"] })).toMatchObject({
    isResumed: true,
    protocol: "http/1.1",
  });
});

test("a handshake that comes byte by byte is one", async () => {
  const drip: Send = (raw, bytes) => {
    for (const byte of bytes) raw.write(Buffer.from([byte]));
  };
  expect(await visit({ maxVersion: "TLSv1.2" }, drip)).toMatchObject(OK);
  expect(await visit({}, drip)).toMatchObject(OK);
});

test("what comes behind a balancer's header in one breath is a hello", async () => {
  const header = (bytes: Buffer) => Buffer.concat([Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.8 4000 443\r\n"), bytes]);
  const here = parseCidr(`${HERE}/32`);
  if (here.ok) gate.change([here.value]);
  const heard = await visit({}, (far, bytes, flight) => far.write(flight === 1 ? header(bytes) : bytes));
  gate.change([]);
  expect(heard).toMatchObject(OK);
  expect(visitors).toContain("192.0.2.7");
});

const GARBAGE = Buffer.alloc(100, "no record of TLS ");
const hello =
  (more: Send): Send =>
  (far, bytes, flight) =>
    void (flight === 1 ? far.write(bytes) : more(far, bytes, flight));
test.each<[string, ConnectionOptions, Send]>([
  ["goes on with garbage", {}, hello((far) => far.write(GARBAGE))],
  ["goes on with garbage, by TLS 1.2,", { maxVersion: "TLSv1.2" }, hello((far) => far.write(GARBAGE))],
  ["goes on with a record that is forged", { maxVersion: "TLSv1.2" }, hello((far, bytes) => far.write(forged(bytes)))],
  ["leaves", {}, hello((far) => far.end())],
  ["is cut", {}, hello((far) => far.resetAndDestroy())],
  ["leaves behind its hello", {}, (far, bytes) => void far.end(bytes)],
  ["says no more", {}, hello(() => pass(PATIENCE_MS))],
])(
  "a visitor who %s in the middle of its handshake is refused, and leaves nothing behind",
  async (_what, more, send) => {
    const before = narrow.refused().protocolError ?? 0;
    expect(await visit({ servername: NARROW, ...more }, send)).toBeNull();
    await until(() => narrow.refused().protocolError === before + 1);
    expect(await visit({ servername: NARROW })).toMatchObject(OK);
    await until(() => narrow.visitorsOpen === 0);
  },
);

/** The last byte is of what proves that nobody changed it. */
function forged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

test.each<[string, (raw: Socket) => void]>([
  ["garbage", (raw) => raw.write(GARBAGE)],
  ["a cut", (raw) => raw.resetAndDestroy()],
  ["an end without a farewell", (raw) => raw.end()],
])("%s after the handshake ends the connection, and leaves nothing behind", async (_what, spoil) => {
  let raw: Socket | null = null;
  const socket = await client({ servername: NARROW }, (below, bytes) => {
    raw = below;
    below.write(bytes);
  });
  await once(socket, "secureConnect");
  request(socket, NARROW);
  await once(socket, "data");
  expect(narrow.visitorsOpen).toBe(1);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  if (raw !== null) spoil(raw);
  await closed;
  await until(() => narrow.visitorsOpen === 0);
  expect(await visit({ servername: NARROW })).toMatchObject(OK);
  await until(() => narrow.visitorsOpen === 0);
});

/** What OpenSSL's client says of a connection, to which it is given `input`. */
async function openssl(input: string, ...words: string[]): Promise<string> {
  const to = ["-connect", `${HERE}:${port}`, "-servername", NAME];
  const child = Bun.spawn(["openssl", "s_client", ...to, ...words], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  child.stdin.write(input);
  child.stdin.flush();
  const [said, complained] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return said + complained;
}

test("nobody negotiates anew within a connection", async () => {
  const said = await openssl("R\n", "-tls1_2");
  expect(said).toContain("RENEGOTIATING");
  expect(said).toMatch(/no renegotiation|alert|unexpected/i);
});

test("a client whose first key is of no group of ours is asked for another", async () => {
  const asking = `GET /4 HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`;
  const said = await openssl(asking, "-groups", "P-521:P-256", "-ign_eof");
  expect(said).toContain("xxxx");
});

/** Last: nobody new comes in. */
test("who is asked to come again has all of its answer before", async () => {
  const directory = running.use(await temporaryDirectory());
  await Bun.write(`${directory.path}/ca.pem`, ca);
  const url = `https://${NAME}:${port}/${LARGE_BYTES}`;
  const place = ["--resolve", `${NAME}:${port}:${HERE}`, "--cacert", `${directory.path}/ca.pem`];
  const child = Bun.spawn(["curl", "-sS", "-N", "--http2", "--limit-rate", "20M", ...place, url], { stdout: "pipe" });
  let heard = 0;
  for await (const bytes of child.stdout) {
    if (heard === 0) server.drain();
    heard += bytes.length;
  }
  expect([heard, await child.exited]).toEqual([LARGE_BYTES, 0]);
  await server.drained();
});
