import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Client, type ConnectConfig, utils } from "ssh2";
import type { ByteEnd } from "../../dataplanes/io/ends.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { makeSshKey } from "../../roles/relay/ssh/host-key.ts";
import { err, ok } from "../../wire/result.ts";
import type { SshConnection } from "./connection.ts";
import { SshServer } from "./server.ts";

/** The server against ssh2's own client, over real sockets: what it answers, and what it ends a connection for. */
const FORBIDDEN_PORT = 25;
/** Asking for it takes for ever. */
const SLOW_PORT = 26;
const abort = new AbortController();
const key = makeSshKey("known");
const unknown = makeSshKey("unknown");
const knownBlob = publicBlob(key.public);
const connections: SshConnection<string>[] = [];
const dialled: ByteEnd[] = [];
const closed: string[] = [];
let server: SshServer<string>;

beforeAll(() => {
  const sweeper = startSweeper(abort.signal);
  server = new SshServer<string>({
    hostname: "127.0.0.1",
    port: 0,
    hostKey: makeSshKey("host").private,
    version: "1.2.3",
    sweeper,
    nowMs: () => performance.now(),
    random: Math.random,
    find: async (credential) =>
      credential.kind === "key" && Buffer.compare(credential.key.blob, knownBlob) === 0 ? "ada" : null,
    serving: () => true,
    open(_, connection) {
      connections.push(connection);
      return {
        forward: async ({ port }) => {
          if (port === SLOW_PORT) await new Promise(() => undefined);
          return port === FORBIDDEN_PORT ? err("not that one") : ok(port || 40_000);
        },
        cancelForward: async ({ port }) => port !== 9,
        forwardSocket: async () => err("no sockets"),
        cancelSocket: async () => false,
        dial(_target, channel) {
          dialled.push(channel);
          channel.sink = echo(channel);
          channel.opened?.();
        },
        dialSocket: (_path, channel) => channel.reset("policy"),
        view: { lines: () => ["what is open"], counters: () => "nothing yet" },
        closed: (why) => void closed.push(why),
      };
    },
    onDenied: () => undefined,
    onUnexpected: (error) => {
      throw error;
    },
  });
  server.listen();
});
afterAll(() => {
  server.close();
  abort.abort();
});

function publicBlob(line: string): Uint8Array {
  return Uint8Array.fromBase64(line.split(" ")[1] ?? "");
}

function echo(end: ByteEnd): ByteEnd["sink"] {
  return {
    onOpen: () => undefined,
    onData: (bytes) => void end.write(bytes),
    onDrain: () => undefined,
    onEnd: () => end.end(),
    onClose: () => undefined,
  };
}

interface Connected extends Disposable {
  readonly client: Client;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>;
}

async function login(more: Partial<ConnectConfig> = {}): Promise<Connected> {
  const client = new Client();
  const ended = new Promise<void>((resolve) => client.once("close", resolve));
  const ready = new Promise<void>((resolve, reject) => client.once("ready", resolve).on("error", reject));
  client.connect({ host: "127.0.0.1", port: server.port, username: "x", privateKey: key.private, ...more });
  await ready;
  return { client, ended, [Symbol.dispose]: () => void client.end() };
}

const forwardIn = (client: Client, port: number) =>
  new Promise<number>((resolve, reject) =>
    client.forwardIn("", port, (error, got) => (error ? reject(error) : resolve(got))),
  );

/** Bytes there and back through a channel. */
async function roundTrip(client: Client, bytes: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 1, "service", 80, (error, channel) => {
      if (error) return reject(error);
      let back = 0;
      channel.on("data", (chunk: Buffer) => {
        back += chunk.length;
      });
      channel.on("end", () => resolve(back)).on("error", reject);
      channel.end(Buffer.alloc(bytes, 7));
    });
  });
}

/** What ssh2's client speaks by: for words that it would not say itself. */
function words(client: Client) {
  return (client as unknown as { _protocol: Record<string, (...args: unknown[]) => void> })._protocol;
}

describe("who comes in", () => {
  test("the holder of a known key", async () => {
    using one = await login();
    expect(await roundTrip(one.client, 5_000_000)).toBe(5_000_000);
  });

  test.each<[string, Partial<ConnectConfig>]>([
    ["an unknown key", { privateKey: unknown.private }],
    ["a password", { privateKey: undefined, password: "x" } as unknown as Partial<ConnectConfig>],
  ])("not %s", async (_, config) => {
    await expect(login(config)).rejects.toThrow("authentication methods failed");
  });

  test.each([["aes128-cbc"], ["3des-cbc"]])("not by %s", async (cipher) => {
    await expect(login({ algorithms: { cipher: [cipher] } } as unknown as Partial<ConnectConfig>)).rejects.toThrow();
  });

  test.each(["hmac-sha1", "hmac-sha2-256-etm@openssh.com"])("not with the MAC %s", async (hmac) => {
    const algorithms = { cipher: ["aes128-ctr"], hmac: [hmac] };
    await expect(login({ algorithms } as unknown as Partial<ConnectConfig>)).rejects.toThrow();
  });

  test.each(["aes128-ctr", "aes256-gcm@openssh.com"])("by %s", async (cipher) => {
    using one = await login({ algorithms: { cipher: [cipher] } } as unknown as Partial<ConnectConfig>);
    expect(await roundTrip(one.client, 300_000)).toBe(300_000);
  });
});

describe("what is asked for", () => {
  test("ports are given, chosen and refused, in the order of the requests", async () => {
    using one = await login();
    const asked = [forwardIn(one.client, 8080), forwardIn(one.client, 0), forwardIn(one.client, 81)];
    expect(await Promise.all(asked)).toEqual([8080, 40_000, 81]);
    await expect(forwardIn(one.client, FORBIDDEN_PORT)).rejects.toThrow();
  });

  test("a visitor reaches the client, and a client that refuses it resets the visitor", async () => {
    using one = await login();
    const connection = connections.at(-1);
    if (connection === undefined) throw new Error("no connection");
    const visitor = { address: "192.0.2.7", port: 5000 };
    one.client.once("tcp connection", (info, accept) => {
      expect(info).toMatchObject({ destPort: 8080, srcIP: "192.0.2.7", srcPort: 5000 });
      accept().end("hello");
    });
    await forwardIn(one.client, 8080);
    const end = connection.openForwarded({ host: "", port: 8080 }, visitor, null);
    if (typeof end === "string") throw new Error(end);
    expect(await collected(end)).toEqual({ text: "hello", reason: null });
    const none = connection.openForwarded({ host: "", port: 81 }, visitor, null);
    if (typeof none === "string") throw new Error(none);
    expect((await collected(none)).reason).not.toBeNull();
  });

  test("a shell shows text; sockets of the machine are refused", async () => {
    using one = await login({ strictVendor: false });
    const shown = await new Promise<string>((resolve, reject) =>
      one.client.shell(false, (error, channel) => {
        if (error) return reject(error);
        channel.once("data", (bytes: Buffer) => resolve(bytes.toString()));
      }),
    );
    expect(shown).toContain("what is open");
    const socket = await answer((told) => one.client.openssh_forwardOutStreamLocal("/run/x", told));
    expect(socket).toContain("not allowed");
  });
});

test("a session that its client closes makes room for the next", async () => {
  using one = await login({ strictVendor: false });
  for (let count = 0; count < 12; count++) {
    await new Promise<void>((resolve, reject) =>
      one.client.shell(false, (error, channel) => {
        if (error) return reject(error);
        channel.once("data", () => channel.close()).once("close", () => resolve());
      }),
    );
  }
});

/** What a client is told; "granted" = what it asked for. */
function answer(ask: (told: (error: Error | undefined) => void) => void): Promise<string> {
  return new Promise((resolve) => ask((error) => resolve(error?.message ?? "granted")));
}

async function collected(end: ByteEnd): Promise<{ text: string; reason: string | null }> {
  let text = "";
  const { promise, resolve } = Promise.withResolvers<{ text: string; reason: string | null }>();
  end.sink = {
    onOpen: () => undefined,
    onData: (bytes) => {
      text += Buffer.from(bytes).toString();
    },
    onDrain: () => undefined,
    onEnd: () => end.end(),
    onClose: (reason) => resolve({ text, reason }),
  };
  return await promise;
}

describe("who breaks the protocol loses the connection, and nobody else's", () => {
  test.each<[string, (client: Client) => void]>([
    ["data for a channel that is not there", (client) => words(client)["channelData"]?.(99, Buffer.from("x"))],
    ["a window for one", (client) => words(client)["channelWindowAdjust"]?.(99, 1)],
    ["a confirmation that nobody asked for", (client) => words(client)["channelOpenConfirm"]?.(99, 0, 1, 1)],
    ["packets of no length", (client) => words(client)["directTcpip"]?.(7, 1000, 0, TARGET)],
    [
      "more global requests than can be answered",
      (client) => {
        for (let count = 0; count < 400; count++) words(client)["tcpipForward"]?.("", SLOW_PORT, true);
      },
    ],
  ])("%s", async (_, act) => {
    using honest = await login();
    const bad = await login();
    bad.client.on("error", () => undefined);
    act(bad.client);
    await bad.ended;
    expect(closed.at(-1)).toContain("broke the protocol");
    expect(await roundTrip(honest.client, 100_000)).toBe(100_000);
  });

  test("more data than the window allows", async () => {
    const bad = await login();
    bad.client.on("error", () => undefined);
    const before = dialled.length;
    words(bad.client)["directTcpip"]?.(7, 0, 32_768, TARGET);
    await eventually(() => dialled.length > before);
    // The channel's number on the server's side is its first.
    for (let count = 0; count < 40; count++) words(bad.client)["channelData"]?.(0, Buffer.alloc(32_000));
    await bad.ended;
    expect(closed.at(-1)).toContain("more than its window allows");
  });

  test("a channel before the proof", async () => {
    const client = new Client();
    client.on("error", () => undefined);
    const ended = new Promise<void>((resolve) => client.once("close", resolve));
    client.connect({ host: "127.0.0.1", port: server.port, username: "x", privateKey: unknown.private });
    client.once("handshake", () => words(client)["directTcpip"]?.(0, 1000, 1000, TARGET));
    await ended;
    expect(server.counts.pending).toBe(0);
  });

  test.each([
    ["no SSH", "GET / HTTP/1.1\r\n\r\n"],
    ["garbage after the greeting", `SSH-2.0-x\r\n${"\u0000\uffff".repeat(500)}`],
    ["an endless line", "S".repeat(20_000)],
    ["an old version", "SSH-1.5-x\r\n"],
  ])("%s", async (_, sent) => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(sent, "latin1");
    await gone(socket);
    expect(server.counts.pending).toBe(0);
  });
});

const TARGET = { srcIP: "127.0.0.1", srcPort: 1, dstIP: "service", dstPort: 80 };

function gone(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

describe("places before the proof", () => {
  test("one source has 64, and whoever is in stays in", async () => {
    using honest = await login();
    const sockets: Socket[] = [];
    let refused = 0;
    for (let count = 0; count < 100; count++) {
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => undefined).on("close", () => refused++);
      sockets.push(socket);
    }
    await eventually(() => refused === 36);
    expect(server.counts.pending).toBe(64);
    expect(await roundTrip(honest.client, 100_000)).toBe(100_000);
    for (const socket of sockets) socket.destroy();
    await eventually(() => server.counts.pending === 0);
    using _ = await login();
  });

  test("the host key is what clients see", () => {
    const parsed = utils.parseKey(server.hostKey);
    expect(parsed instanceof Error).toBe(false);
    expect(server.fingerprint).toStartWith("SHA256:");
  });
});
