import { err, ok, type Result } from "../result.ts";
import { Fields } from "./fields.ts";
import { decodeKey, decodeParts, type KeyError, type KeyParts, type SshKey } from "./public-key.ts";

const SUFFIX = "-cert-v01@openssh.com";
const USER = 1;
/** OpenSSH's own limit (SSHKEY_CERT_MAX_PRINCIPALS). */
const MAX_PRINCIPALS = 256;
const MAX_OPTIONS = 64;

/** A certificate of OpenSSH's (PROTOCOL.certkeys), of a user. Whether its signature is good is for who has the CAs. */
export interface UserCertificate {
  /** The key that it certifies, and its type without the suffix. */
  readonly type: string;
  readonly parts: KeyParts;
  readonly serial: bigint;
  /** What its CA calls it, for the log. */
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Unix time, seconds. */
  readonly validAfterSec: bigint;
  /** The first second in which it is not good any more. */
  readonly validBeforeSec: bigint;
  readonly criticalOptions: ReadonlyMap<string, Uint8Array>;
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  readonly ca: SshKey;
  readonly signature: SshSignature;
  /** What the CA signed. */
  readonly signed: Uint8Array;
}

/** A signature as it travels (RFC 4253 §6.6). */
export interface SshSignature {
  readonly algorithm: string;
  /** ECDSA: two mpints (RFC 5656 §3.1.2). */
  readonly bytes: Uint8Array;
}

export type CertificateError = KeyError | { readonly kind: "not-user" };

export function isCertificateType(type: string): boolean {
  return type.endsWith(SUFFIX);
}

export function decodeSignature(bytes: Uint8Array): SshSignature | null {
  const fields = new Fields(bytes);
  const algorithm = fields.text();
  const signature = fields.string();
  return algorithm === null || signature === null || !fields.isDone ? null : { algorithm, bytes: signature };
}

export function decodeUserCertificate(blob: Uint8Array): Result<UserCertificate, CertificateError> {
  const fields = new Fields(blob);
  const certType = fields.text();
  if (certType === null || !isCertificateType(certType)) return err({ kind: "malformed" });
  const type = certType.slice(0, -SUFFIX.length);
  // A nonce of the CA's: it makes collisions of the hash hard to find.
  fields.string();
  const parts = decodeParts(type, fields);
  if (!parts.ok) return parts;
  const serial = fields.u64();
  const kind = fields.u32();
  const keyId = fields.text();
  const principals = listOf(fields.string());
  const validAfterSec = fields.u64();
  const validBeforeSec = fields.u64();
  const criticalOptions = optionsOf(fields.string());
  const extensions = optionsOf(fields.string());
  // Reserved.
  fields.string();
  const caBlob = fields.string();
  const signed = blob.subarray(0, fields.at);
  const signatureBytes = fields.string();
  if (serial === null || keyId === null || validAfterSec === null || validBeforeSec === null) {
    return err({ kind: "malformed" });
  }
  if (principals === null || criticalOptions === null || extensions === null || caBlob === null) {
    return err({ kind: "malformed" });
  }
  const signature = signatureBytes === null || !fields.isDone ? null : decodeSignature(signatureBytes);
  if (signature === null) return err({ kind: "malformed" });
  if (kind !== USER) return err({ kind: "not-user" });
  // A CA that is itself a certificate is refused here, as OpenSSH does.
  const ca = decodeKey(caBlob);
  if (!ca.ok) return ca;
  const validity = { validAfterSec, validBeforeSec };
  const told = { serial, keyId, principals, ...validity, criticalOptions, extensions };
  return ok({ type, parts: parts.value, ...told, ca: ca.value, signature, signed });
}

/** Strings, one after the other. */
function listOf(bytes: Uint8Array | null): string[] | null {
  if (bytes === null) return null;
  const fields = new Fields(bytes);
  const list: string[] = [];
  while (fields.hasMore) {
    const item = fields.text();
    if (item === null || list.length === MAX_PRINCIPALS) return null;
    list.push(item);
  }
  return fields.isDone ? list : null;
}

/** Names with their data, in the order of the names, each once (PROTOCOL.certkeys "Critical options"). */
function optionsOf(bytes: Uint8Array | null): Map<string, Uint8Array> | null {
  if (bytes === null) return null;
  const fields = new Fields(bytes);
  const options = new Map<string, Uint8Array>();
  while (fields.hasMore) {
    const name = fields.text();
    const data = fields.string();
    if (name === null || data === null || options.has(name) || options.size === MAX_OPTIONS) return null;
    options.set(name, data);
  }
  return fields.isDone ? options : null;
}
