import { parseJson } from "./json.ts";
import { err, ok, type Result } from "./result.ts";
import { siteNameOf } from "./site-name.ts";
import { decodeUtf8 } from "./utf8.ts";
import { z } from "./zod.ts";

/**
 * A backup: all that a server is, in one file, sealed by a passphrase.
 *
 * Header, in the clear, big-endian; each chunk vouches for it as well (AES-GCM's additional data):
 *
 * | offset | bytes | what |
 * |---|---|---|
 * | 0 | 8 | `hatchwbk` |
 * | 8 | 1 | version, 1 |
 * | 9 | 3 | scrypt (RFC 7914): log2 of N, r, p |
 * | 12 | 16 | salt |
 *
 * Then chunks of CHUNK_BYTES, the last one shorter or empty, each AES-256-GCM with its tag behind it. The key is scrypt of the
 * passphrase; the salt makes it one file's own, so that the nonce is the chunk's number and whether it is the last (STREAM,
 * Hoang, Reyhanitabar, Rogaway and Vizár 2015): chunks cannot be left out, put elsewhere or cut off.
 *
 * What is inside: the length of the manifest (4 bytes), the manifest in JSON, and the parts that it lists, one after the other.
 */
export interface BackupHeader {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
}

/** not-a-backup: other bytes. version: a newer program made it. invalid: it says something that cannot be. */
export type BackupErrorKind = "not-a-backup" | "version" | "invalid";

export interface BackupError {
  readonly kind: BackupErrorKind;
  /** One sentence that says what to do. */
  readonly message: string;
}

const MAGIC = new TextEncoder().encode("hatchwbk");
const VERSION = 1;
const VERSION_AT = MAGIC.length;
const COST_AT = VERSION_AT + 1;
const SALT_AT = COST_AT + 3;
export const SALT_BYTES = 16;
export const HEADER_BYTES = SALT_AT + SALT_BYTES;
export const CHUNK_BYTES = 64 * 1_024;
export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
const COUNTER_AT = NONCE_BYTES - 5;
const LAST_AT = NONCE_BYTES - 1;

/** What OWASP asks of a password (2023): 128 MiB, and about half a second of one core. */
export const BACKUP_COST = { logN: 17, r: 8, p: 1 } as const;
/** A header is read before anything vouches for it: it costs whoever opens it at most 256 MiB. */
const MAX_COST = { logN: 18, r: 8, p: 4 } as const;
const MIN_LOG_N = 14;

export function encodeBackupHeader({ logN, r, p, salt }: BackupHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(MAGIC);
  bytes.set([VERSION, logN, r, p], VERSION_AT);
  bytes.set(salt.subarray(0, SALT_BYTES), SALT_AT);
  return bytes;
}

/** Null = more bytes are needed. */
export function decodeBackupHeader(
  bytes: Uint8Array,
): Result<{ readonly value: BackupHeader; readonly length: number } | null, BackupError> {
  if (MAGIC.some((byte, at) => at < bytes.length && bytes[at] !== byte)) {
    return err({ kind: "not-a-backup", message: "This is no backup of Hatchway: choose another file." });
  }
  const version = bytes[VERSION_AT];
  if (version !== undefined && version !== VERSION) {
    return err({ kind: "version", message: "A newer Hatchway made this backup: update the program first." });
  }
  if (bytes.length < HEADER_BYTES) return ok(null);
  const [logN = 0, r = 0, p = 0] = bytes.subarray(COST_AT, SALT_AT);
  if (logN < MIN_LOG_N || logN > MAX_COST.logN || r < 1 || r > MAX_COST.r || p < 1 || p > MAX_COST.p) {
    return err({ kind: "invalid", message: "The beginning of this backup is damaged: take another copy of it." });
  }
  return ok({ value: { logN, r, p, salt: bytes.slice(SALT_AT, HEADER_BYTES) }, length: HEADER_BYTES });
}

/** Of the chunk of this number, from 0. */
export function chunkNonce(index: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(COUNTER_AT, index);
  nonce[LAST_AT] = isLast ? 1 : 0;
  return nonce;
}

/** What a data directory holds, by its name in there. Nothing else is ever written by a restore, but certificates of sites. */
export const BACKUP_PARTS = [
  "hatchway.db",
  "relay-key.pem",
  "relay-cert.pem",
  "acme.json",
  "names/acme.json",
  "ssh_host_ed25519_key",
  "device-key.pem",
  "agent.json",
  "hatchway.toml",
  "privileged/wireguard.key",
] as const;
type FixedPart = (typeof BACKUP_PARTS)[number];
export type BackupPart = FixedPart | `names/${string}/acme.json`;

/** Sites with a certificate of their own: as many as a relay has. */
export const MAX_SITE_PARTS = 5_000;
const SITE_PART = /^names\/([^/]+)\/acme\.json$/;

/** Where the certificate of a site is, by its name in canonical form. */
export function sitePart(host: string): BackupPart {
  return `names/${host}/acme.json`;
}

export function isSitePart(part: string): part is BackupPart {
  const host = SITE_PART.exec(part)?.[1];
  // What is the name of a site has nothing in it that a path understands; this one is the name of a file there.
  return host !== undefined && siteNameOf(host) === host && host !== "acme.json";
}

function isPart(part: string): part is BackupPart {
  return isSitePart(part) || BACKUP_PARTS.some((known) => known === part);
}

const LENGTH_BYTES = 4;
/** A name has 253 letters at most. */
const MAX_MANIFEST_BYTES = 2 * 1_024 * 1_024;
const MAX_PART_BYTES = 16 * 1_024 ** 3;

export const BackupManifest = z.strictObject({
  madeMs: z.int().min(0),
  /** Of the program. */
  version: z.string().min(1).max(64),
  databaseVersion: z.int().min(0),
  counts: z.strictObject({
    accounts: z.int().min(0),
    people: z.int().min(0),
    devices: z.int().min(0),
    forwards: z.int().min(0),
  }),
  /** In the order in which they follow. */
  parts: z
    .array(z.strictObject({ name: z.string().refine(isPart), bytes: z.int().min(0).max(MAX_PART_BYTES) }))
    .max(BACKUP_PARTS.length + MAX_SITE_PARTS)
    .refine((parts) => new Set(parts.map(({ name }) => name)).size === parts.length, "a part is there twice"),
});
export type BackupManifest = z.infer<typeof BackupManifest>;

export function encodeManifest(manifest: BackupManifest): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(manifest));
  const bytes = new Uint8Array(LENGTH_BYTES + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/** Null = more bytes are needed. */
export function decodeManifest(
  bytes: Uint8Array,
): Result<{ readonly value: BackupManifest; readonly length: number } | null, BackupError> {
  if (bytes.length < LENGTH_BYTES) return ok(null);
  const jsonBytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const length = LENGTH_BYTES + jsonBytes;
  if (jsonBytes > MAX_MANIFEST_BYTES) return err(NO_MANIFEST);
  if (bytes.length < length) return ok(null);
  const manifest = BackupManifest.safeParse(parseJson(decodeUtf8(bytes.subarray(LENGTH_BYTES, length)) ?? ""));
  return manifest.success ? ok({ value: manifest.data, length }) : err(NO_MANIFEST);
}

const NO_MANIFEST: BackupError = {
  kind: "invalid",
  message:
    "The list of what is in this backup cannot be read: a newer Hatchway may have made it, so update the program.",
};
