import { describe, expect, test } from "bun:test";
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { encodePrivateKey } from "./private-key.ts";
import { encodeEd25519, parseKeyText } from "./public-key.ts";

/** RFC 8032 section 7.1, test 1. */
const PAIR = {
  seed: Uint8Array.fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
  publicKey: Uint8Array.fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
};

test("the pair of the RFC is one", () => {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = createPrivateKey({ key: Buffer.concat([head, PAIR.seed]), format: "der", type: "pkcs8" });
  expect(createPublicKey(key).export({ format: "jwk" }).x).toBe(Buffer.from(PAIR.publicKey).toString("base64url"));
});

describe("ssh2 reads the key, whatever its comment is long:", () => {
  test.each(["", "1", "22", "333", "4444", "55555", "666666", "7777777", "attic", "käfer"])("%p", (comment) => {
    const parsed = parseKey(encodePrivateKey(PAIR, comment, 0xfedcba98));
    if (parsed instanceof Error) throw parsed;
    expect(parsed).toMatchObject({ type: "ssh-ed25519", comment });
    expect(parsed.getPublicSSH().toString("base64")).toBe(encodeEd25519(PAIR.publicKey).toBase64());
    const message = Buffer.from("what is signed");
    const signature = sign(null, message, parsed.getPrivatePEM() ?? "");
    const x = Buffer.from(PAIR.publicKey).toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    expect(verify(null, message, key, signature)).toBe(true);
  });
});

test("it looks as ssh-keygen's does, and is known for a private key", () => {
  const text = encodePrivateKey(PAIR, "attic", 1);
  const lines = text.split("\n");
  expect([lines[0], lines.at(-2), lines.at(-1)]).toEqual([
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----END OPENSSH PRIVATE KEY-----",
    "",
  ]);
  expect(lines.slice(1, -3).every((line) => line.length === 70)).toBe(true);
  expect(parseKeyText(text)).toEqual({ ok: false, error: { kind: "not-public", found: "private" } });
});
