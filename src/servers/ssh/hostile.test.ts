import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ConnectConfig } from "ssh2";
import { type Reached, startTestServer, type TestServer } from "../../../test/fixtures/ssh-server.ts";

/** What clients send that no client has to: strangers, and those that were let in. */
let server: TestServer;
beforeAll(() => {
  server = startTestServer();
});
afterAll(() => server[Symbol.dispose]());

/** One packet of these bytes, by the inner parts of ssh2's client: it would not say this itself. */
function sayRaw({ client }: Reached, payload: Uint8Array): void {
  const protocol = (client as unknown as { _protocol: Inner })._protocol;
  const { write } = protocol._packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

interface Inner {
  readonly _packetRW: {
    readonly write: { readonly allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
  };
  readonly _cipher: { encrypt(packet: Buffer): void };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const string = (text: string | Uint8Array) => Buffer.concat([u32(text.length), Buffer.from(text)]);
const message = (type: number, ...parts: Uint8Array[]) => Buffer.concat([Buffer.of(type), ...parts]);
const USERAUTH_REQUEST = 50;
const authRequest = (method: string, ...more: Uint8Array[]) =>
  message(USERAUTH_REQUEST, string("x"), string("ssh-connection"), string(method), ...more);
/** More than the process has when it serves a few clients. */
const MANY_PLACES = 40_000_000;
const BYTES_A_PLACE = 8;

describe("a stranger", () => {
  test.each(["diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512", "ecdh-sha2-nistp521"])(
    "does not make the relay calculate by %s",
    async (kex) => {
      const algorithms = { kex: [kex] } as unknown as NonNullable<ConnectConfig["algorithms"]>;
      await expect(server.reach("ready", { algorithms })).rejects.toThrow("no matching key exchange algorithm");
    },
    60_000,
  );

  test.each([
    ["prompts", 60],
    ["answers to prompts", 61],
  ])(
    "sends %s that take no memory",
    async (_, type) => {
      using bad = await server.reach("handshake");
      bad.client.on("error", () => undefined);
      const before = process.memoryUsage().rss;
      sayRaw(bad, authRequest("keyboard-interactive", string(""), string("")));
      // As prompts: name, instruction and language are empty, and so the count is where it is read either way.
      sayRaw(
        bad,
        type === 60 ? message(type, u32(0), u32(0), u32(0), u32(MANY_PLACES)) : message(type, u32(MANY_PLACES)),
      );
      await bad.ended;
      expect(process.memoryUsage().rss - before).toBeLessThan((MANY_PLACES * BYTES_A_PLACE) / 2);
    },
    60_000,
  );

  test.each<[string, Uint8Array]>([
    ["no key", authRequest("publickey", Buffer.of(0), string("ssh-ed25519"))],
    ["a key that ends too soon", authRequest("publickey", Buffer.of(0), string("ssh-ed25519"), u32(99))],
    ["no algorithm", authRequest("publickey", Buffer.of(0), u32(99), string("x"))],
    ["no name", message(USERAUTH_REQUEST, u32(9_999), string("ssh-connection"), string("none"))],
  ])("asks with %s, and is no defect of the relay", async (_, request) => {
    using bad = await server.reach("handshake");
    bad.client.on("error", () => undefined);
    const ready = new Promise<void>((resolve) => bad.client.once("ready", () => resolve()));
    sayRaw(bad, request);
    // What its library asks then is answered, or it lost the connection.
    await Promise.race([ready, bad.ended]);
    expect(server.unexpected).toEqual([]);
  });
});

describe("who was let in", () => {
  test("asks to log in for ever, and nothing is kept of it", async () => {
    using bad = await server.reach("ready");
    for (let count = 0; count < 200; count++) sayRaw(bad, authRequest("m".repeat(30_000)));
    const answered = new Promise<void>((resolve) => bad.client.forwardIn("", 8080, () => resolve()));
    await answered;
    const { peer } = server.connections.at(-1) as unknown as { peer: { _authsQueue: readonly string[] } };
    expect(peer._authsQueue.length).toBe(0);
  });

  test("says what only a server says, and loses the connection", async () => {
    using bad = await server.reach("ready");
    bad.client.on("error", () => undefined);
    sayRaw(bad, message(61, u32(MANY_PLACES)));
    await bad.ended;
    expect(server.closed.at(-1)).toContain("what only a server says");
  });

  test.each<[string, Uint8Array, string]>([
    ["a channel", message(90, string("session"), u32(0), u32(1_000)), "channel is cut off"],
    ["a channel of an unknown kind", message(90, string("odd")), "channel is cut off"],
  ])("asks for %s with half a message, and loses the connection", async (_, request, why) => {
    using bad = await server.reach("ready");
    bad.client.on("error", () => undefined);
    sayRaw(bad, request);
    await bad.ended;
    expect(server.closed.at(-1)).toContain(why);
  });

  test("asks for a port without a whole address, and is refused", async () => {
    using bad = await server.reach("ready");
    const answered = new Promise<string>((resolve) => {
      const { _protocol } = bad.client as unknown as { _protocol: { _handlers: Record<string, () => void> } };
      _protocol._handlers["REQUEST_SUCCESS"] = () => resolve("granted");
      _protocol._handlers["REQUEST_FAILURE"] = () => resolve("refused");
    });
    sayRaw(bad, message(80, string("tcpip-forward"), Buffer.of(1), u32(9_999), u32(8_080)));
    expect(await answered).toBe("refused");
  });
});
