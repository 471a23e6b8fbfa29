import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  BACKUP_COST,
  BACKUP_PARTS,
  type BackupManifest,
  chunkNonce,
  decodeBackupHeader,
  decodeManifest,
  encodeBackupHeader,
  encodeManifest,
  HEADER_BYTES,
  MAX_SITE_PARTS,
  sitePart,
} from "./backup.ts";

const SALT = Uint8Array.from({ length: 16 }, (_, at) => at);
const HEADER = encodeBackupHeader({ ...BACKUP_COST, salt: SALT });
const MANIFEST: BackupManifest = {
  madeMs: 1_795_000_000_000,
  version: "0.1.0",
  databaseVersion: 6,
  counts: { accounts: 1, people: 2, devices: 3, forwards: 4 },
  parts: [
    { name: "hatchway.db", bytes: 12_288 },
    { name: "relay-key.pem", bytes: 241 },
  ],
};
const kindOf = (result: ReturnType<typeof decodeBackupHeader | typeof decodeManifest>) =>
  result.ok ? (result.value === null ? "more" : "ok") : result.error.kind;
const changed = (at: number, byte: number) => HEADER.with(at, byte);
const withJson = (json: unknown) => {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return bytes;
};

describe("the header", () => {
  test("is what the table says", () => {
    const words = [Buffer.from("hatchwbk"), Uint8Array.of(1, 17, 8, 1), SALT];
    expect(Buffer.concat([HEADER])).toEqual(Buffer.concat(words));
    expect(HEADER).toHaveLength(HEADER_BYTES);
  });

  test("is read as it was written, whatever follows", () => {
    const decoded = decodeBackupHeader(Buffer.concat([HEADER, SALT]));
    expect(decoded).toEqual({ ok: true, value: { value: { ...BACKUP_COST, salt: SALT }, length: HEADER_BYTES } });
  });

  test("cut at any byte, it needs more", () => {
    for (let length = 0; length < HEADER_BYTES; length++) {
      expect([length, kindOf(decodeBackupHeader(HEADER.subarray(0, length)))]).toEqual([length, "more"]);
    }
  });

  test.each([
    ["another file", changed(0, 0x50), "not-a-backup"],
    ["a newer version", changed(8, 2), "version"],
    ["a cost that is nothing", changed(9, 13), "invalid"],
    ["a cost that takes all memory", changed(9, 19), "invalid"],
    ["no blocks", changed(10, 0), "invalid"],
    ["huge blocks", changed(10, 9), "invalid"],
    ["no rounds", changed(11, 0), "invalid"],
    ["endless rounds", changed(11, 5), "invalid"],
  ] as const)("%s is refused", (_name, bytes, kind) => {
    expect(kindOf(decodeBackupHeader(bytes))).toBe(kind);
  });

  test("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeBackupHeader(bytes)),
      { seed: 1 },
    );
  });
});

describe("the manifest", () => {
  test("is read as it was written, whatever follows", () => {
    const bytes = encodeManifest(MANIFEST);
    expect(decodeManifest(Buffer.concat([bytes, SALT]))).toEqual({
      ok: true,
      value: { value: MANIFEST, length: bytes.length },
    });
  });

  test("with as many sites as a relay has, of the longest names", () => {
    const labels = ["a", "b", "c"].map((letter) => letter.repeat(60)).join(".");
    const hosts = Array.from({ length: MAX_SITE_PARTS }, (_, at) => `${labels}.${"d".repeat(60)}.n${at}`);
    const manifest = { ...MANIFEST, parts: hosts.map((host) => ({ name: sitePart(host), bytes: 5_000 })) };
    const decoded = decodeManifest(encodeManifest(manifest));
    expect(decoded.ok && decoded.value?.value.parts.length).toBe(MAX_SITE_PARTS);
  });

  test("cut at any byte, it needs more", () => {
    const bytes = encodeManifest(MANIFEST);
    for (let length = 0; length < bytes.length; length++) {
      expect([length, kindOf(decodeManifest(bytes.subarray(0, length)))]).toEqual([length, "more"]);
    }
  });

  test.each([
    ["a part outside of the directory", { ...MANIFEST, parts: [{ name: "../etc/passwd", bytes: 1 }] }],
    ["a site outside of the directory", { ...MANIFEST, parts: [{ name: "names/../acme.json", bytes: 1 }] }],
    ["a site that is a path", { ...MANIFEST, parts: [{ name: "names/a.example.org/../acme.json", bytes: 1 }] }],
    ["a site in another form", { ...MANIFEST, parts: [{ name: "names/A.example.org/acme.json", bytes: 1 }] }],
    ["another file of a site", { ...MANIFEST, parts: [{ name: "names/a.example.org/key.pem", bytes: 1 }] }],
    ["a site where a file is", { ...MANIFEST, parts: [{ name: "names/acme.json/acme.json", bytes: 1 }] }],
    ["a part twice", { ...MANIFEST, parts: [MANIFEST.parts[0], MANIFEST.parts[0]] }],
    ["a part of less than nothing", { ...MANIFEST, parts: [{ name: "hatchway.db", bytes: -1 }] }],
    ["a part that fills every disk", { ...MANIFEST, parts: [{ name: "hatchway.db", bytes: 2 ** 50 }] }],
    ["more than we know", { ...MANIFEST, secret: "x" }],
    ["nothing", null],
  ] as const)("%s is refused", (_name, json) => {
    expect(kindOf(decodeManifest(withJson(json)))).toBe("invalid");
  });

  test("one that says it is huge is refused before it is read", () => {
    expect(kindOf(decodeManifest(Uint8Array.of(0xff, 0xff, 0xff, 0xff)))).toBe("invalid");
  });

  test("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => void decodeManifest(bytes)),
      { seed: 1 },
    );
  });
});

test("no two chunks have the same nonce", () => {
  const nonces = [0, 1, 255, 256, 2 ** 32 - 1].flatMap((index) => [chunkNonce(index, false), chunkNonce(index, true)]);
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString("hex"))).size).toBe(10);
  expect(BACKUP_PARTS.filter((name) => name.includes(".."))).toEqual([]);
});
