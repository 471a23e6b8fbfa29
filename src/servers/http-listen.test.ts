import { afterEach, describe, expect, test } from "bun:test";
import { certificateZoo } from "../../test/fixtures/certificates.ts";
import { freePorts } from "../../test/fixtures/free-ports.ts";
import { RawConnection } from "../../test/fixtures/raw-http.ts";
import { PortSharing } from "../dataplanes/io/port-sharing.ts";
import { systemSockets } from "../dataplanes/io/system-sockets.ts";
import { type HttpListener, listenHttp } from "./http-listen.ts";

const { good } = await certificateZoo();
const TLS = { cert: good.certificatePem, key: good.keyPem };
const HEAD = "Host: 127.0.0.1\r\n";
const ASKS = 20;

const open: HttpListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

interface Answering {
  readonly bind?: string;
  readonly tls?: typeof TLS;
  /** Called when a request has come. */
  readonly asked?: () => void;
  /** What every answer waits for. */
  readonly until?: Promise<void>;
}

/** A server as one of two processes would have it, which answers with its name. */
function listening(name: string, port: number, sharing: PortSharing | null, answering: Answering = {}) {
  const { bind = "127.0.0.1", tls, until, asked } = answering;
  const opened = listenHttp(bind, port, sharing, (place) =>
    Bun.serve({
      ...place,
      ...(tls === undefined ? {} : { tls }),
      async fetch() {
        asked?.();
        await until;
        return new Response(name);
      },
    }),
  );
  if (opened.ok) open.push(opened.value);
  return opened;
}

function server(name: string, port: number, answering?: Answering, sharing = new PortSharing(systemSockets())) {
  const opened = listening(name, port, sharing, answering);
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

/** Beside one that lets it in. */
function successor(name: string, port: number, answering?: Answering): HttpListener {
  const sharing = new PortSharing(systemSockets());
  sharing.expect([{ protocol: "tcp", port }]);
  return server(name, port, answering, sharing);
}

/** Who answers, each by a new connection. */
async function answers(port: number, { bind = "127.0.0.1", tls }: Answering = {}): Promise<Set<string>> {
  const url = `${tls === undefined ? "http" : "https"}://${bind === "*" ? "127.0.0.1" : bind}:${port}/`;
  const who = new Set<string>();
  for (let count = 0; count < ASKS; count++) {
    const response = await fetch(url, { keepalive: false, tls: { rejectUnauthorized: false } });
    who.add(await response.text());
  }
  return who;
}

test("a port that nobody lends is one server's alone", async () => {
  const [port = 0] = await freePorts(1);
  server("first", port);
  expect(listening("second", port, null)).toMatchObject({ ok: false, error: { kind: "inUse" } });
  const unshared = listening("alone", 0, null);
  expect(unshared.ok && unshared.value.setShared(true)).toBe(false);
});

// SO_REUSEPORT's groups are Linux's.
describe.if(process.platform === "linux")("a port that is lent", () => {
  test.each<[string, Answering]>([
    ["one address", {}],
    ["every address", { bind: "*" }],
    ["localhost", { bind: "localhost" }],
    ["HTTPS", { tls: TLS }],
  ])(
    "%s: all that is new comes to the newer, and to the one that is left; strangers are told that it is in use",
    async (_what, answering) => {
      const [port = 0] = await freePorts(1);
      const isTaken = () => !listening("stranger", port, new PortSharing(systemSockets()), answering).ok;
      const before = server("old", port, answering);
      expect(isTaken()).toBe(true);
      expect(before.setShared(true)).toBe(true);
      expect([isTaken(), await answers(port, answering)]).toEqual([true, new Set(["old"])]);
      const after = successor("new", port, answering);
      expect(await answers(port, answering)).toEqual(new Set(["new"]));
      await after.close();
      expect(await answers(port, answering)).toEqual(new Set(["old"]));
      const again = successor("newer", port, answering);
      await before.retire();
      expect(await answers(port, answering)).toEqual(new Set(["newer"]));
      expect(again.setShared(false)).toBe(true);
      expect([isTaken(), await answers(port, answering)]).toEqual([true, new Set(["newer"])]);
      // Of one that listens no more there is nothing to lend.
      expect(before.setShared(true)).toBe(true);
    },
  );

  test("connections of before are the older one's: a request that begins, or is under way, is answered there", async () => {
    const [port = 0] = await freePorts(1);
    const gate = Promise.withResolvers<void>();
    const before = server("old", port, { until: gate.promise });
    const [silent, half, waiting] = [1, 2, 3].map(() => new RawConnection(port)) as [
      RawConnection,
      RawConnection,
      RawConnection,
    ];
    await Promise.all([silent.opened, half.opened, waiting.opened]);
    half.write("GET / HTT");
    waiting.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
    before.setShared(true);
    const after = successor("new", port);
    expect(await answers(port)).toEqual(new Set(["new"]));
    before.endIdle();
    silent.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
    half.write(`P/1.1\r\n${HEAD}\r\n`);
    gate.resolve();
    for (const connection of [silent, half, waiting]) expect(await connection.until("old")).toEndWith("\r\n\r\nold");
    // Now they wait for a next one, which is to come by a new connection.
    before.endIdle();
    for (const connection of [silent, half, waiting]) await connection.closed;
    await before.retire();
    await after.close();
  });

  test("retiring resolves when what is under way has ended, and not before", async () => {
    const [port = 0] = await freePorts(1);
    const gate = Promise.withResolvers<void>();
    const come = Promise.withResolvers<void>();
    const before = server("old", port, { until: gate.promise, asked: come.resolve });
    const asked = new RawConnection(port);
    asked.write(`GET / HTTP/1.1\r\n${HEAD}\r\n`);
    await come.promise;
    before.setShared(true);
    successor("new", port);
    let hasEnded = false;
    const retired = before.retire().then(() => {
      hasEnded = true;
    });
    expect(await answers(port)).toEqual(new Set(["new"]));
    expect(hasEnded).toBe(false);
    gate.resolve();
    await asked.until("old");
    await Promise.all([retired, asked.closed]);
  });
});
