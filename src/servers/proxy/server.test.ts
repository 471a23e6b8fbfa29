import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { counted } from "../../../test/fixtures/counted.ts";
import { Admission } from "../../core/admission.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { type Allows, directExit } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { Entry } from "../../dataplanes/io/entry.ts";
import { type Sweeper, startSweeper } from "../../dataplanes/io/sweeper.ts";
import type { Admission as EntryAdmission } from "../../dataplanes/io/visits.ts";
import { encodeConnectRequest } from "../../wire/http-connect.ts";
import type { Result } from "../../wire/result.ts";
import {
  decodeSocks5Reply,
  decodeSocksDatagram,
  encodeSocks4Request,
  encodeSocks5Greeting,
  encodeSocks5Request,
  encodeSocksCredentials,
  encodeSocksDatagram,
} from "../../wire/socks.ts";
import { openProxy } from "./server.ts";

const CREDENTIALS = { username: "ann", password: "s3cret" };
const FORBIDDEN_PORT = 9;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);
const must = <T>(result: Result<T, unknown>): T => {
  if (!result.ok) throw new Error("not encodable");
  return result.value;
};

/** A TCP client that remembers what it read; half-open, as ours are. */
async function dial(port: number) {
  let read = new Uint8Array(0);
  let ended = false;
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, chunk) => {
        read = Buffer.concat([read, chunk]);
        wake();
      },
      end: () => {
        ended = true;
        wake();
      },
      close: () => {
        ended = true;
        wake();
      },
    },
  });
  const until = async (done: () => boolean) => {
    while (!done()) await changed.promise;
  };
  return {
    send: (data: Uint8Array) => void socket.write(data),
    /** Takes exactly `count` bytes. */
    take: async (count: number) => {
      await until(() => read.length >= count || ended);
      const taken = read.slice(0, count);
      read = read.slice(count);
      return taken;
    },
    all: async () => {
      await until(() => ended);
      return read;
    },
    close: () => socket.end(),
  };
}

/** A second for it is 50 ms: what a proxy holds back comes soon, and its patience is still half a second. */
function hurried(sweeper: Sweeper): Sweeper {
  const nowMs = () => sweeper.nowMs() * 20;
  return {
    turnstile: sweeper.turnstile,
    outbox: sweeper.outbox,
    descriptors: sweeper.descriptors,
    nowMs,
    add: (item) => sweeper.add({ sweep: () => item.sweep(nowMs()) }),
    remove: () => undefined,
  };
}

describe("the proxy", () => {
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal, 1);
  const dials = new Dials(sweeper);
  const allows: Allows = { name: (_host, port) => port !== FORBIDDEN_PORT, address: () => true };
  const exit = directExit({
    target: (visit) => visit.destination ?? null,
    allows,
    resolver: systemResolver(),
    dials,
    proxyProtocol: () => null,
  });
  let echo: Bun.TCPSocketListener<undefined>;
  let udpEcho: Bun.udp.Socket<"buffer">;
  let closedPort = 0;
  let open: Entry;
  let locked: Entry;

  const openOn = (
    credentials: typeof CREDENTIALS | null,
    by: Sweeper = sweeper,
    admission: EntryAdmission = new Admission(DEFAULT_OPTIONS),
  ) =>
    must(
      openProxy(
        {
          bind: "127.0.0.1",
          ports: [{ protocol: "tcp", first: 0, last: 0, internalFirst: 0 }],
          options: DEFAULT_OPTIONS,
          admission,
          sweeper: by,
          credentials: () => credentials,
        },
        exit,
      ),
    );
  const portOf = (entry: Entry) => entry.ports[0]?.endpoint.port ?? 0;

  beforeAll(async () => {
    echo = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket, chunk) => void socket.write(chunk) },
    });
    udpEcho = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket, datagram, port, address) => void socket.send(datagram, port, address) },
    });
    const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    closedPort = other.port;
    other.stop(true);
    open = openOn(null);
    locked = openOn(CREDENTIALS, hurried(sweeper));
  });
  afterAll(() => {
    open.close();
    locked.close();
    dials.close();
    echo.stop(true);
    udpEcho.close();
    abort.abort();
  });

  const socks5 = (host: string, port: number) =>
    must(encodeSocks5Request({ version: 5, command: "connect", destination: { host, port } }));

  for (const host of ["127.0.0.1", "localhost"]) {
    test(`SOCKS 5 CONNECT to ${host}; early data goes first`, async () => {
      const client = await dial(portOf(open));
      client.send(Buffer.concat([encodeSocks5Greeting([0]), socks5(host, echo.port), bytes("early")]));
      expect([...(await client.take(2))]).toEqual([5, 0]);
      expect((await client.take(10))[1]).toBe(0);
      expect(text(await client.take(5))).toBe("early");
      client.send(bytes("late"));
      expect(text(await client.take(4))).toBe("late");
      client.close();
    });
  }

  test("SOCKS 4 and 4a CONNECT", async () => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const client = await dial(portOf(open));
      const request = { version: 4, command: "connect", destination: { host, port: echo.port }, userId: "me" } as const;
      client.send(Buffer.concat([must(encodeSocks4Request(request)), bytes("hello")]));
      expect((await client.take(8))[1]).toBe(90);
      expect(text(await client.take(5))).toBe("hello");
      client.close();
    }
  });

  test("HTTP CONNECT, a byte at a time", async () => {
    const client = await dial(portOf(open));
    const head = must(
      encodeConnectRequest({ target: { host: "127.0.0.1", port: echo.port }, authorization: { kind: "none" } }),
    );
    for (const byte of head) client.send(Uint8Array.of(byte));
    client.send(bytes("hello"));
    const answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    expect(text(await client.take(answer.length))).toBe(answer);
    expect(text(await client.take(5))).toBe("hello");
    client.close();
  });

  describe("answers a refusal in the client's words and closes", () => {
    const cases = [
      { name: "refused", port: () => closedPort, socks: 5, status: 502 },
      { name: "not allowed", port: () => FORBIDDEN_PORT, socks: 2, status: 403 },
    ];
    for (const { name, port, socks, status } of cases) {
      test(`${name}: SOCKS 5`, async () => {
        const client = await dial(portOf(open));
        client.send(Buffer.concat([encodeSocks5Greeting([0]), socks5("127.0.0.1", port())]));
        const reply = await client.all();
        expect(reply[3]).toBe(socks);
      });
      test(`${name}: SOCKS 4`, async () => {
        const client = await dial(portOf(open));
        const destination = { host: "127.0.0.1", port: port() };
        client.send(must(encodeSocks4Request({ version: 4, command: "connect", destination, userId: "" })));
        expect((await client.all())[1]).toBe(91);
      });
      test(`${name}: HTTP`, async () => {
        const client = await dial(portOf(open));
        client.send(bytes(`CONNECT 127.0.0.1:${port()} HTTP/1.1\r\n\r\n`));
        expect(text(await client.all())).toStartWith(`HTTP/1.1 ${status} `);
      });
    }

    test("BIND", async () => {
      const client = await dial(portOf(open));
      const destination = { host: "127.0.0.1", port: 1 };
      client.send(
        Buffer.concat([
          encodeSocks5Greeting([0]),
          must(encodeSocks5Request({ version: 5, command: "bind", destination })),
        ]),
      );
      expect((await client.all())[3]).toBe(7);
    });

    test("GET", async () => {
      const client = await dial(portOf(open));
      client.send(bytes("GET http://192.0.2.1/ HTTP/1.1\r\n\r\n"));
      expect(text(await client.all())).toStartWith("HTTP/1.1 405 ");
    });

    test("garbage", async () => {
      const client = await dial(portOf(open));
      client.send(Uint8Array.of(0, 1, 2, 13, 10));
      expect(text(await client.all())).toStartWith("HTTP/1.1 400 ");
    });
  });

  describe("with credentials", () => {
    const identify = (password: string) =>
      Buffer.concat([
        encodeSocks5Greeting([0, 2]),
        must(encodeSocksCredentials({ username: CREDENTIALS.username, password })),
        socks5("127.0.0.1", echo.port),
        bytes("hi"),
      ]);

    test("SOCKS 5 with the right ones", async () => {
      const client = await dial(portOf(locked));
      client.send(identify(CREDENTIALS.password));
      expect([...(await client.take(4))]).toEqual([5, 2, 1, 0]);
      expect((await client.take(10))[1]).toBe(0);
      expect(text(await client.take(2))).toBe("hi");
      client.close();
    });

    test("SOCKS 5 with wrong ones, or none", async () => {
      const wrong = await dial(portOf(locked));
      wrong.send(identify("s3cre"));
      expect([...(await wrong.all())]).toEqual([5, 2, 1, 1]);
      const none = await dial(portOf(locked));
      none.send(encodeSocks5Greeting([0]));
      expect([...(await none.all())]).toEqual([5, 255]);
    });

    test("SOCKS 4 is refused", async () => {
      const client = await dial(portOf(locked));
      const destination = { host: "127.0.0.1", port: echo.port };
      client.send(must(encodeSocks4Request({ version: 4, command: "connect", destination, userId: "ann" })));
      expect((await client.all())[1]).toBe(91);
    });

    test("HTTP CONNECT", async () => {
      const target = { host: "127.0.0.1", port: echo.port };
      const right = await dial(portOf(locked));
      right.send(must(encodeConnectRequest({ target, authorization: { kind: "basic", ...CREDENTIALS } })));
      expect(text(await right.take(12))).toBe("HTTP/1.1 200");
      right.close();
      const wrong = await dial(portOf(locked));
      wrong.send(must(encodeConnectRequest({ target, authorization: { kind: "none" } })));
      expect(text(await wrong.all())).toStartWith("HTTP/1.1 407 ");
    });
  });

  describe("UDP ASSOCIATE", () => {
    const associate = async () => {
      const control = await dial(portOf(open));
      const destination = { host: "0.0.0.0", port: 0 };
      control.send(
        Buffer.concat([
          encodeSocks5Greeting([0]),
          must(encodeSocks5Request({ version: 5, command: "udp-associate", destination })),
        ]),
      );
      await control.take(2);
      const reply = must(decodeSocks5Reply(await control.take(10)));
      return { control, bound: reply?.value.bound ?? destination };
    };
    const client = async (received: (datagram: Uint8Array) => void) =>
      Bun.udpSocket({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: (_socket, datagram) => received(datagram) },
      });

    test("relays datagrams by address and by name, and drops fragments", async () => {
      const { control, bound } = await associate();
      const replies: string[] = [];
      const both = Promise.withResolvers<void>();
      const socket = await client((datagram) => {
        const { destination, payload } = must(decodeSocksDatagram(datagram));
        replies.push(`${destination.host} ${text(payload)}`);
        if (replies.length === 2) both.resolve();
      });
      const fragment = must(
        encodeSocksDatagram({ destination: { host: "127.0.0.1", port: udpEcho.port }, payload: bytes("part") }),
      );
      fragment[2] = 1;
      socket.send(fragment, bound.port, bound.host);
      for (const host of ["127.0.0.1", "localhost"]) {
        const destination = { host, port: udpEcho.port };
        socket.send(must(encodeSocksDatagram({ destination, payload: bytes(`to ${host}`) })), bound.port, bound.host);
      }
      await both.promise;
      expect(replies.sort()).toEqual(["127.0.0.1 to 127.0.0.1", "localhost to localhost"]);
      socket.close();
      control.close();
    });

    test("another port of the client is not the client; the end of the connection ends the association", async () => {
      const { control, bound } = await associate();
      const answered = Promise.withResolvers<void>();
      const mine = await client(() => answered.resolve());
      const stranger = await client(() => answered.reject(new Error("a stranger was answered")));
      const destination = { host: "127.0.0.1", port: udpEcho.port };
      const datagram = must(encodeSocksDatagram({ destination, payload: bytes("x") }));
      mine.send(datagram, bound.port, bound.host);
      await answered.promise;
      const { counters } = open.visits;
      const dropped = counters.datagramsDropped;
      stranger.send(datagram, bound.port, bound.host);
      await counted(counters, () => counters.datagramsDropped > dropped);
      const before = open.visits.size;
      control.close();
      await counted(counters, () => open.visits.size < before);
      mine.close();
      stranger.close();
    });
  });

  test("closing cuts the clients that have not asked yet", async () => {
    const admitted = Promise.withResolvers<void>();
    const entry = openOn(null, sweeper, {
      admitMore: () => true,
      admit: () => {
        admitted.resolve();
        return null;
      },
      leave: () => undefined,
    });
    const client = await dial(portOf(entry));
    client.send(Uint8Array.of(5));
    await admitted.promise;
    entry.close();
    expect((await client.all()).length).toBe(0);
    expect(entry.visits.counters.refused()).toEqual({ shutdown: 1 });
  });
});
