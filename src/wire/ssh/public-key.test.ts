import { describe, expect, test } from "bun:test";
import { blobOf, FINGERPRINTS, PUBLIC_KEYS, USER_CERTIFICATE } from "../../../test/fixtures/ssh-keys.ts";
import { sshFingerprint } from "../../os/ssh-key.ts";
import { decodeKey, encodeEd25519, formatKey, formatKnownHosts, keyProblem, parseKeyText } from "./public-key.ts";

const body = PUBLIC_KEYS.ed25519.split(" ")[1] ?? "";
const rfc4716 = (headers: string) =>
  `---- BEGIN SSH2 PUBLIC KEY ----\n${headers}${body.slice(0, 40)}\n${body.slice(40)}\n---- END SSH2 PUBLIC KEY ----\n`;

describe("a key in a file", () => {
  test.each([
    ["Ed25519", PUBLIC_KEYS.ed25519, "ssh-ed25519", "ada@ed25519"],
    ["ECDSA", PUBLIC_KEYS.ecdsa, "ecdsa-sha2-nistp256", "ada@ecdsa"],
    ["ECDSA, the longest curve", PUBLIC_KEYS.ecdsa521, "ecdsa-sha2-nistp521", "e521"],
    ["RSA", PUBLIC_KEYS.rsa, "ssh-rsa", "ada@rsa"],
    ["with lines around it", `# mine\n\n${PUBLIC_KEYS.ed25519}\r\n\n`, "ssh-ed25519", "ada@ed25519"],
    ["without a comment", `ssh-ed25519 ${body}`, "ssh-ed25519", ""],
    ["with an escape sequence in its comment", `ssh-ed25519 ${body} a\u001b[2Jb`, "ssh-ed25519", "a [2Jb"],
    ["as PuTTYgen saves it", rfc4716('Comment: "256-bit, by me"\n'), "ssh-ed25519", "256-bit, by me"],
    ["with a header over two lines", rfc4716("Subject: me\\\n and you\nComment: x\n"), "ssh-ed25519", "x"],
  ])("%s", (_, text, type, comment) => {
    expect(parseKeyText(text)).toMatchObject({ ok: true, value: { key: { type }, comment } });
  });

  test.each([
    ["nothing", "\n# only a comment\n", { kind: "not-public", found: "nothing" }],
    ["a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", { kind: "not-public", found: "private" }],
    ["PuTTY's private key", "PuTTY-User-Key-File-3: ssh-ed25519\n", { kind: "not-public", found: "private" }],
    ["a certificate", USER_CERTIFICATE, { kind: "not-public", found: "certificate" }],
    ["two keys", `${PUBLIC_KEYS.ed25519}\n${PUBLIC_KEYS.ca}\n`, { kind: "not-public", found: "several" }],
    ["options", `command="id" ${PUBLIC_KEYS.ed25519}`, { kind: "not-public", found: "options" }],
    ["a short RSA key", PUBLIC_KEYS.weak, { kind: "weak", bits: 1024 }],
    ["another type than it says", `ssh-rsa ${body}`, { kind: "malformed" }],
    ["no base64", "ssh-ed25519 ?????", { kind: "malformed" }],
    ["a type of old", "ssh-dss AAAAB3NzaC1kc3M=", { kind: "unsupported", type: "ssh-dss" }],
    ["too much text", "x".repeat(40_000), { kind: "malformed" }],
  ] as const)("refuses %s", (_, text, error) => {
    const parsed = parseKeyText(text);
    expect(parsed).toEqual({ ok: false, error });
    if (!parsed.ok) expect(keyProblem(parsed.error)).toMatch(/^[A-Z].*[.]$/);
  });
});

describe("a key as it travels", () => {
  test.each(Object.entries(PUBLIC_KEYS).filter(([name]) => name !== "weak"))("%s, cut anywhere, is none", (_, line) => {
    const blob = blobOf(line);
    expect(decodeKey(blob).ok).toBe(true);
    for (let length = 0; length < blob.length; length++) expect(decodeKey(blob.subarray(0, length)).ok).toBe(false);
    expect(decodeKey(new Uint8Array([...blob, 0])).ok).toBe(false);
  });

  test("is written as it was read", () => {
    const parsed = parseKeyText(PUBLIC_KEYS.ed25519);
    if (!parsed.ok || parsed.value.key.parts.kind !== "ed25519") throw new Error("no Ed25519 key");
    expect(formatKey(parsed.value.key)).toBe(PUBLIC_KEYS.ed25519.replace(" ada@ed25519", ""));
    expect(encodeEd25519(parsed.value.key.parts.publicKey)).toEqual(parsed.value.key.blob);
  });

  test.each(["ed25519", "ecdsa", "rsa"] as const)("has ssh-keygen's fingerprint: %s", (name) => {
    expect(sshFingerprint(blobOf(PUBLIC_KEYS[name]))).toBe(FINGERPRINTS[name]);
  });

  test.each([
    ["relay.example", 2222, "[relay.example]:2222 ssh-ed25519 AAAA"],
    ["relay.example", 22, "relay.example ssh-ed25519 AAAA"],
  ])("known_hosts: %s, %i", (host, port, line) => {
    expect(formatKnownHosts(host, port, "ssh-ed25519 AAAA")).toBe(line);
  });
});
