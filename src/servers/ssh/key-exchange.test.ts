import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createECDH, generateKeyPairSync } from "node:crypto";
import { connect } from "node:net";
import { startTestServer, type TestServer } from "../../../test/fixtures/ssh-server.ts";
import { encodeStrings } from "../../wire/ssh/fields.ts";

/** How connections begin, by bytes that no library would send. */
let server: TestServer;
beforeAll(() => {
  server = startTestServer();
});
afterAll(() => server[Symbol.dispose]());

const Type = { disconnect: 1, ignore: 2, kexInit: 20, ecdhInit: 30, ecdhReply: 31 } as const;
const CURVE25519 = "curve25519-sha256";
const STRICT = "kex-strict-c-v00@openssh.com";
const NISTP256 = "ecdh-sha2-nistp256";
const BLOCK_BYTES = 8;
const GREETING = "SSH-2.0-guess\r\n";

/** RFC 4253 §6, before there are keys. */
function packet(payload: Uint8Array): Buffer {
  const padding = BLOCK_BYTES * 2 - ((payload.length + 5) % BLOCK_BYTES);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + payload.length + padding);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

function kexInit(kex: string, hostKey: string, follows: boolean): Buffer {
  const both = ["aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""];
  const lists = encodeStrings([kex, hostKey, ...both]);
  return packet(
    Buffer.concat([Buffer.of(Type.kexInit), Buffer.alloc(16), lists, Buffer.of(follows ? 1 : 0), Buffer.alloc(4)]),
  );
}

function ecdhInit(kex: string): Buffer {
  const x25519 = () =>
    new Uint8Array(generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "der" })).subarray(-32);
  const key = kex === CURVE25519 ? x25519() : new Uint8Array(createECDH("prime256v1").generateKeys());
  return packet(Buffer.concat([Buffer.of(Type.ecdhInit), encodeStrings([key])]));
}

/** The types of the packets that the server sends until it sends one of `until`, or ends the connection. */
async function answersTo(words: readonly Uint8Array[], until: number, greeting = [GREETING]): Promise<number[]> {
  const { promise, resolve } = Promise.withResolvers<number[]>();
  const socket = connect(server.port, "127.0.0.1");
  let bytes = Buffer.alloc(0);
  const types = () => {
    const found: number[] = [];
    let at = bytes.indexOf("\n") + 1;
    while (at > 0 && at + 5 < bytes.length) {
      found.push(bytes[at + 5] ?? 0);
      at += 4 + bytes.readUInt32BE(at);
    }
    return found;
  };
  socket.on("error", () => undefined).on("close", () => resolve(types()));
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (types().includes(until)) socket.destroy();
  });
  socket.setNoDelay(true);
  for (const piece of greeting) {
    await new Promise((written) => socket.write(piece, written));
    // Each in a turn of its own of both event loops: the server reads it before the next one is there.
    await new Promise(setImmediate);
  }
  socket.write(Buffer.concat(words));
  return await promise;
}

describe("what comes with the client's algorithms", () => {
  test.each<[string, Buffer[]]>([
    ["is nothing", [kexInit(CURVE25519, "ssh-ed25519", false), ecdhInit(CURVE25519)]],
    ["counts, when both sides like the same best", [kexInit(CURVE25519, "ssh-ed25519", true), ecdhInit(CURVE25519)]],
    [
      "is passed over, when the client likes another key exchange best",
      [kexInit(`${NISTP256},${CURVE25519}`, "ssh-ed25519", true), ecdhInit(CURVE25519), ecdhInit(NISTP256)],
    ],
    [
      "is passed over, when the client likes another host key best",
      [kexInit(CURVE25519, "ssh-rsa,ssh-ed25519", true), ecdhInit(NISTP256), ecdhInit(CURVE25519)],
    ],
  ])("%s", async (_, words) => {
    expect(await answersTo(words, Type.ecdhReply)).toContain(Type.ecdhReply);
  });
});

test("a greeting may come in as many pieces as it has letters", async () => {
  const words = [kexInit(CURVE25519, "ssh-ed25519", false), ecdhInit(CURVE25519)];
  expect(await answersTo(words, Type.ecdhReply, [...GREETING])).toContain(Type.ecdhReply);
});

/** Terrapin (CVE-2023-48795): what is slipped in before there are keys. */
describe("a message that is no part of the first key exchange, with a client that is strict, ends the connection", () => {
  const init = kexInit(`${CURVE25519},${STRICT}`, "ssh-ed25519", false);
  const ignored = packet(Buffer.concat([Buffer.of(Type.ignore), encodeStrings(["x"])]));
  test.each<[string, Buffer[]]>([
    ["before the algorithms", [ignored, init, ecdhInit(CURVE25519)]],
    ["after the algorithms", [init, ignored, ecdhInit(CURVE25519)]],
    ["before NEWKEYS", [init, ecdhInit(CURVE25519), ignored]],
  ])("%s", async (_, words) => {
    expect(await answersTo(words, Type.disconnect)).toContain(Type.disconnect);
  });
});
