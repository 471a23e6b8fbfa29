import { err, ok, type Result } from "../result.ts";
import { encodeStrings, Fields } from "./fields.ts";

/** Curves of RFC 5656 §10.1 with what a point and an identifier look like. */
export const CURVES = {
  nistp256: { coordinateBytes: 32 },
  nistp384: { coordinateBytes: 48 },
  nistp521: { coordinateBytes: 66 },
} as const;
export type Curve = keyof typeof CURVES;

/** What a public key is made of. */
export type KeyParts =
  | { readonly kind: "ed25519"; readonly publicKey: Uint8Array }
  | { readonly kind: "rsa"; readonly exponent: Uint8Array; readonly modulus: Uint8Array }
  | { readonly kind: "ecdsa"; readonly curve: Curve; readonly x: Uint8Array; readonly y: Uint8Array };

export interface SshKey {
  /** `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` … */
  readonly type: string;
  /** As it travels (RFC 4253 §6.6). */
  readonly blob: Uint8Array;
  readonly parts: KeyParts;
}

export interface KeyLine {
  readonly key: SshKey;
  /** What stands after the key; often who made it where. */
  readonly comment: string;
}

export type KeyError =
  | { readonly kind: "malformed" }
  /** A private key, a certificate, or no key at all where one should be. */
  | { readonly kind: "not-public"; readonly found: "private" | "certificate" | "nothing" | "several" | "options" }
  | { readonly kind: "unsupported"; readonly type: string }
  | { readonly kind: "weak"; readonly bits: number };

const ED25519_BYTES = 32;
const UNCOMPRESSED = 4;
/** NIST SP 800-131A: shorter ones are no longer to be trusted. */
export const LEAST_RSA_BITS = 2_048;
/** OpenSSH's own limit (SSHBUF_MAX_BIGNUM): longer ones only cost time. */
const MOST_RSA_BITS = 16_384;
const SSH_PORT = 22;
const MAX_TEXT_CHARS = 32_768;
const MAX_COMMENT_CHARS = 128;

/** A key of Ed25519, RSA of 2048 bits or more, or ECDSA, as it travels. */
export function decodeKey(blob: Uint8Array): Result<SshKey, KeyError> {
  const fields = new Fields(blob);
  const type = fields.text();
  if (type === null) return err({ kind: "malformed" });
  if (type.includes("-cert-v")) return err({ kind: "not-public", found: "certificate" });
  const parts = decodeParts(type, fields);
  if (!parts.ok) return parts;
  if (!fields.isDone) return err({ kind: "malformed" });
  return ok({ type, blob, parts: parts.value });
}

/** What follows the type. Reads no further than the key: a certificate has more. */
export function decodeParts(type: string, fields: Fields): Result<KeyParts, KeyError> {
  switch (type) {
    case "ssh-ed25519": {
      const publicKey = fields.string();
      if (publicKey?.length !== ED25519_BYTES) return err({ kind: "malformed" });
      return ok({ kind: "ed25519", publicKey });
    }
    case "ssh-rsa": {
      const exponent = magnitude(fields.string());
      const modulus = magnitude(fields.string());
      if (exponent === null || modulus === null) return err({ kind: "malformed" });
      const bits = bitsOf(modulus);
      if (bits < LEAST_RSA_BITS) return err({ kind: "weak", bits });
      return bits > MOST_RSA_BITS ? err({ kind: "malformed" }) : ok({ kind: "rsa", exponent, modulus });
    }
    default: {
      const curve = type.startsWith("ecdsa-sha2-") ? type.slice("ecdsa-sha2-".length) : "";
      return isCurve(curve) ? decodePoint(curve, fields) : err({ kind: "unsupported", type: type.slice(0, 64) });
    }
  }
}

function decodePoint(curve: Curve, fields: Fields): Result<KeyParts, KeyError> {
  const named = fields.text();
  const point = fields.string();
  const { coordinateBytes } = CURVES[curve];
  if (named !== curve || point === null || point.length !== 1 + 2 * coordinateBytes || point[0] !== UNCOMPRESSED) {
    return err({ kind: "malformed" });
  }
  return ok({
    kind: "ecdsa",
    curve,
    x: point.subarray(1, 1 + coordinateBytes),
    y: point.subarray(1 + coordinateBytes),
  });
}

function isCurve(name: string): name is Curve {
  return Object.hasOwn(CURVES, name);
}

/** A positive mpint (RFC 4251 §5) without its leading zero; null when it is none in its shortest form. */
function magnitude(bytes: Uint8Array | null): Uint8Array | null {
  const [first, second] = bytes ?? [];
  if (bytes === null || first === undefined || first >= 0x80) return null;
  if (first !== 0) return bytes;
  return second === undefined || second < 0x80 ? null : bytes.subarray(1);
}

function bitsOf(modulus: Uint8Array): number {
  return (modulus.length - 1) * 8 + (32 - Math.clz32(modulus[0] ?? 0));
}

/** The blob of an Ed25519 key: a device's own. */
export function encodeEd25519(publicKey: Uint8Array): Uint8Array {
  return encodeStrings(["ssh-ed25519", publicKey]);
}

/**
 * The one key in a file: a line of OpenSSH's (`ssh-ed25519 AAAA… comment`), or what PuTTYgen saves (RFC 4716). Empty lines and
 * comments may stand around it. A line with options in front is refused: they would seem to restrict, and nothing reads them.
 */
export function parseKeyText(text: string): Result<KeyLine, KeyError> {
  if (text.length > MAX_TEXT_CHARS) return err({ kind: "malformed" });
  if (text.includes("PRIVATE KEY-----") || text.trimStart().startsWith("PuTTY-User-Key-File")) {
    return err({ kind: "not-public", found: "private" });
  }
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const [first] = lines;
  if (first === undefined) return err({ kind: "not-public", found: "nothing" });
  if (first === "---- BEGIN SSH2 PUBLIC KEY ----") return parseRfc4716(lines);
  if (lines.length > 1) return err({ kind: "not-public", found: "several" });
  return parseLine(first);
}

function parseLine(line: string): Result<KeyLine, KeyError> {
  const [type = "", base64 = "", ...comment] = line.split(/[ \t]+/);
  if (!/^[a-z0-9@.-]+$/.test(type)) return err({ kind: "not-public", found: "options" });
  return keyLine(base64, comment.join(" "), type);
}

/** RFC 4716 §3: headers `Name: value`, where a line that ends in a backslash goes on in the next. */
function parseRfc4716(lines: readonly string[]): Result<KeyLine, KeyError> {
  if (lines.at(-1) !== "---- END SSH2 PUBLIC KEY ----") return err({ kind: "malformed" });
  let comment = "";
  let base64 = "";
  let continues = false;
  for (const line of lines.slice(1, -1)) {
    const header: boolean = continues || line.includes(":");
    if (!header) base64 += line;
    else if (/^comment:/i.test(line)) comment = line.slice("comment:".length).trim().replaceAll('"', "");
    continues = header && line.endsWith("\\");
  }
  return keyLine(base64, comment, null);
}

function keyLine(base64: string, comment: string, type: string | null): Result<KeyLine, KeyError> {
  let blob: Uint8Array;
  try {
    // Not Uint8Array.fromBase64, which browsers of 2024 have not.
    blob = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return err({ kind: "malformed" }); // not base64
  }
  const key = decodeKey(blob);
  if (!key.ok) return key;
  if (type !== null && type !== key.value.type) return err({ kind: "malformed" });
  const cleaned = comment.toWellFormed().replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");
  return ok({ key: key.value, comment: cleaned.slice(0, MAX_COMMENT_CHARS).trim() });
}

/** `ssh-ed25519 AAAA…`, as known_hosts and authorized_keys have it. */
export function formatKey({ type, blob }: Pick<SshKey, "type" | "blob">): string {
  return `${type} ${blob.toBase64()}`;
}

/** A line of known_hosts (sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT"); `hostKey` as `formatKey` has it. */
export function formatKnownHosts(host: string, port: number, hostKey: string): string {
  return `${port === SSH_PORT ? host : `[${host}]:${port}`} ${hostKey}`;
}

/** `SHA256:…`, as ssh-keygen -l and ssh show it. */
export function formatFingerprint(sha256: Uint8Array): string {
  return `SHA256:${sha256.toBase64({ omitPadding: true })}`;
}

/** One sentence that says what to do. */
export function keyProblem(error: KeyError): string {
  switch (error.kind) {
    case "malformed":
      return "This is no public key as ssh-keygen makes it: give the file that ends in .pub.";
    case "unsupported":
      return `Keys of the type ${error.type} are not supported: make one with ssh-keygen -t ed25519.`;
    case "weak":
      return `An RSA key of ${error.bits} bits is too short: make one with ssh-keygen -t ed25519.`;
    case "not-public":
      return notPublic(error.found);
    default:
      return error satisfies never;
  }
}

function notPublic(found: Extract<KeyError, { kind: "not-public" }>["found"]): string {
  switch (found) {
    case "private":
      return "This is a private key, which nobody but its owner should have: give the public one, the file that ends in .pub.";
    case "certificate":
      return "This is a certificate: give the public key, or let the relay trust its CA with [ssh] trusted-user-ca.";
    case "nothing":
      return "There is no key in it: give the file that ends in .pub.";
    case "several":
      return "There are several lines in it: give one public key at a time.";
    case "options":
      return "Give the key without options in front: what may be opened with it is told by the ports of its device.";
    default:
      return found satisfies never;
  }
}
