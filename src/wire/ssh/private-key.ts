import { encodeStrings } from "./fields.ts";
import { encodeEd25519 } from "./public-key.ts";

export interface Ed25519Pair {
  /** The 32 private bytes (RFC 8032 section 5.1.5). */
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
}

const MAGIC = "openssh-key-v1\0";
const NONE = "none";
/** Of the cipher `none`. */
const BLOCK_BYTES = 8;
/** As ssh-keygen folds it. */
const LINE_CHARS = 70;

/**
 * The file that ssh takes with -i, without a passphrase (OpenSSH's PROTOCOL.key). `check`: any number of 32 bits; with a
 * passphrase it would tell a wrong one.
 */
export function encodePrivateKey({ seed, publicKey }: Ed25519Pair, comment: string, check: number): string {
  const twice = u32s(check, check);
  const fields = encodeStrings(["ssh-ed25519", publicKey, joined(seed, publicKey), comment]);
  const missing = -(twice.length + fields.length) & (BLOCK_BYTES - 1);
  const padding = Uint8Array.from({ length: missing }, (_, at) => at + 1);
  const bytes = joined(
    new TextEncoder().encode(MAGIC),
    encodeStrings([NONE, NONE, ""]),
    u32s(1),
    encodeStrings([encodeEd25519(publicKey), joined(twice, fields, padding)]),
  );
  const lines = bytes.toBase64().match(new RegExp(`.{1,${LINE_CHARS}}`, "g")) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function u32s(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [at, number] of numbers.entries()) view.setUint32(4 * at, number);
  return bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
