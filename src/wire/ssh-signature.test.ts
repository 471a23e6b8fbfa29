import { describe, expect, test } from "bun:test";
import { createHash, createPublicKey, verify } from "node:crypto";
import {
  decodeSshEd25519Key,
  decodeSshSignature,
  encodeSshEd25519Key,
  encodeSshSignature,
  type SshSignature,
  signedBytes,
} from "./ssh-signature.ts";

/** Made by OpenSSH 9.2: printf 'a release\\n' > f; ssh-keygen -Y sign -f k -n hatchway-release f */
const SIGNED = "a release\n";
const ARMOUR = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgAHISgN1fthUAT8tFMIVm/jgJvX
n372ksfUOkNhvJQ04AAAAQaGF0Y2h3YXktcmVsZWFzZQAAAAAAAAAGc2hhNTEyAAAAUwAA
AAtzc2gtZWQyNTUxOQAAAECz67I0A0nTp8t7LUY93ZSod7CVDGh43IPYh6pXEoUZTjxTdF
qTFN55cLnoKyxbYer7sBOCevj2D3ZucYhweyAJ
-----END SSH SIGNATURE-----
`;
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAByEoDdX7YVAE/LRTCFZv44Cb159+9pLH1DpDYbyUNO";

function decoded(text = ARMOUR): SshSignature {
  const result = decodeSshSignature(text);
  if (!result.ok) throw new Error(result.error.kind);
  return result.value;
}

/** The bytes within the armour, changed. */
function withBytes(change: (bytes: Uint8Array) => Uint8Array): string {
  const lines = ARMOUR.trim().split("\n");
  const bytes = Uint8Array.fromBase64(lines.slice(1, -1).join(""));
  return [lines[0], change(bytes).toBase64(), lines.at(-1)].join("\n");
}

/** The place of a word in the bytes. */
const at = (bytes: Uint8Array, word: string) => Buffer.from(bytes).indexOf(word);
const kindOf = (text: string) => {
  const result = decodeSshSignature(text);
  return result.ok ? "ok" : result.error.kind;
};

describe("a signature of ssh-keygen's", () => {
  test("says who signed what for", () => {
    const { publicKey, namespace, hash } = decoded();
    expect({ key: encodeSshEd25519Key(publicKey), namespace, hash }).toEqual({
      key: KEY,
      namespace: "hatchway-release",
      hash: "sha512",
    });
  });

  test("is of the text, and of no other", () => {
    const { publicKey, signature } = decoded();
    const x = Buffer.from(publicKey).toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const isOf = (text: string) => {
      const digest = createHash("sha512").update(text).digest();
      return verify(null, signedBytes(decoded(), digest), key, signature);
    };
    expect([isOf(SIGNED), isOf(`${SIGNED} `)]).toEqual([true, false]);
  });

  test("is written as ssh-keygen writes it", () => {
    expect(encodeSshSignature(decoded())).toBe(ARMOUR);
  });

  test("cut at any byte, it is none", () => {
    const { length } = Uint8Array.fromBase64(ARMOUR.trim().split("\n").slice(1, -1).join(""));
    for (let end = 0; end < length; end++) {
      expect([end, kindOf(withBytes((bytes) => bytes.subarray(0, end)))]).toEqual([end, "form"]);
    }
  });

  test.each([
    ["nothing", "", "form"],
    ["no armour", ARMOUR.split("\n")[1] ?? "", "form"],
    ["what is no base64", ARMOUR.replace("U1NI", "U1N*"), "form"],
    ["another magic", withBytes((bytes) => bytes.with(0, 0x54)), "form"],
    ["a byte behind the end", withBytes((bytes) => Uint8Array.of(...bytes, 0)), "form"],
    ["a newer version", withBytes((bytes) => bytes.with(9, 2)), "version"],
    ["another hash", withBytes((bytes) => bytes.with(at(bytes, "sha512") + 3, 0x34)), "hash"],
    ["a key of another type", withBytes((bytes) => bytes.with(at(bytes, "ssh-ed25519"), 0x78)), "key-type"],
    ["a length beyond the end", withBytes((bytes) => bytes.with(10, 0xff)), "form"],
    ["far too much", `${ARMOUR.slice(0, 40)}${"A".repeat(10_000)}${ARMOUR.slice(40)}`, "form"],
  ])("%s is refused", (_, text, kind) => {
    expect(kindOf(text)).toBe(kind as ReturnType<typeof kindOf>);
  });
});

describe("a public key", () => {
  test("is read with and without its comment", () => {
    const key = decodeSshEd25519Key(`${KEY} releases@example.com\n`);
    expect(key?.length).toBe(32);
    expect(encodeSshEd25519Key(key ?? new Uint8Array())).toBe(KEY);
  });

  test.each([
    ["another type", KEY.replace("ssh-ed25519 ", "ssh-rsa ")],
    ["a type that does not agree", `ssh-ed25519 ${btoa("\0\0\0\x07ssh-rsa")}`],
    ["cut", KEY.slice(0, -4)],
    ["nothing", ""],
  ])("%s is none", (_, line) => {
    expect(decodeSshEd25519Key(line)).toBeNull();
  });
});
