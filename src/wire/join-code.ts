import { decodeBase32, encodeBase32 } from "./base32.ts";
import { crc32 } from "./crc32.ts";
import { type HostPort, MAX_HOST_CHARS, MAX_PORT, parseHost } from "./endpoint.ts";
import { err, ok, type Result } from "./result.ts";

/**
 * The join code: all that an agent needs to enrol, as one token a person copies once.
 *
 *     hatchway1-<base32>      version in the prefix, payload in RFC 4648 base32, lower case, no padding
 *
 * Base32 and not base64url: it is case-insensitive and has no `-` or `_`, so it survives a phone call, a form that
 * capitalises, and a double click; in capitals it fits a QR code's alphanumeric mode. It costs a fifth more characters.
 *
 * Payload, big-endian:
 *
 * | offset | bytes | what |
 * |---|---|---|
 * | 0 | 2 | length of the whole payload: tells a clipped code from a mistyped one |
 * | 2 | 1 | flags: bit 0 = public CA, bit 1 = a fingerprint follows; the others are zero |
 * | 3 | 2 | port of the relay |
 * | 5 | 1 | length of the host, h |
 * | 6 | h | host: DNS name or IP literal in its canonical text (parseHost), ASCII |
 * | 6 + h | 0 or 32 | SHA-256 of the relay certificate's SPKI (RFC 7469 section 2.4 pins the same bytes) |
 * | … | s ≥ 16 | one-time secret: what is left before the checksum |
 * | last 4 | 4 | CRC-32 of all before it |
 *
 * The checksum guards against slips of the hand, not against malice: nobody gains by forging a code.
 */
export type JoinCode = {
  readonly relay: HostPort;
  /** SECRET_BYTES_MIN to SECRET_BYTES_MAX random bytes; good for one enrolment. */
  readonly secret: Uint8Array;
} & (
  | {
      /** The agent accepts exactly the certificate whose key has this fingerprint. */
      readonly trust: "pinned";
      readonly fingerprint: Uint8Array;
    }
  | {
      /** The agent verifies the certificate as a browser does; a fingerprint, when present, is checked as well. */
      readonly trust: "public-ca";
      readonly fingerprint: Uint8Array | null;
    }
);

/**
 * not-a-code: other text. incomplete: its end is missing. too-long: something was pasted behind it. mistyped: characters differ.
 * version: a newer program made it. invalid: intact, but it says something that cannot be (encode: the caller's fault).
 */
export type JoinCodeErrorKind = "not-a-code" | "incomplete" | "too-long" | "mistyped" | "version" | "invalid";

export interface JoinCodeError {
  readonly kind: JoinCodeErrorKind;
  /** One sentence that says what to do; never holds a part of the code. */
  readonly message: string;
}

export const JOIN_CODE_VERSION = 1;
export const FINGERPRINT_BYTES = 32;
export const SECRET_BYTES_MIN = 16;
export const SECRET_BYTES_MAX = 64;

const NAME = "hatchway";
const PREFIX = `${NAME}${JOIN_CODE_VERSION}-`;
const ANY_PREFIX = /^hatchway(\d{1,9})-/;
const OFFSET = { length: 0, flags: 2, port: 3, hostLength: 5, host: 6 } as const;
const CHECKSUM_BYTES = 4;
const PAYLOAD_BYTES_MIN = OFFSET.host + 1 + SECRET_BYTES_MIN + CHECKSUM_BYTES;
const PAYLOAD_BYTES_MAX = OFFSET.host + MAX_HOST_CHARS + FINGERPRINT_BYTES + SECRET_BYTES_MAX + CHECKSUM_BYTES;
const FLAG = { publicCa: 1, fingerprint: 2 } as const;
const KNOWN_FLAGS = FLAG.publicCa | FLAG.fingerprint;

const SENTENCE: Record<JoinCodeErrorKind, string> = {
  "not-a-code": `This is not a join code: one starts with ${PREFIX}; make one on the relay with hatchway join-code create.`,
  incomplete: "This join code is incomplete: copy the whole line, to its last character.",
  "too-long": "This join code has something behind it that does not belong to it: copy the code alone.",
  mistyped: "This join code is mistyped: some of its characters are not the ones that were printed; copy it again.",
  version: "This join code was made by a newer Hatchway: update the program on this machine.",
  invalid: "This join code is damaged: make a new one on the relay with hatchway join-code create.",
};

/** Fails with kind `invalid` on a host, port, fingerprint or secret that no code can hold. The host is made canonical. */
export function encodeJoinCode(code: JoinCode): Result<string, JoinCodeError> {
  const parsedHost = parseHost(code.relay.host);
  const host = parsedHost.ok ? parsedHost.value : code.relay.host;
  const problem = problemOf(host, code.relay.port, code.fingerprint, code.secret);
  if (problem !== null) return err({ kind: "invalid", message: problem });

  const hostBytes = new TextEncoder().encode(host);
  const fingerprint = code.fingerprint ?? new Uint8Array(0);
  const bytes = new Uint8Array(
    OFFSET.host + hostBytes.length + fingerprint.length + code.secret.length + CHECKSUM_BYTES,
  );
  const view = new DataView(bytes.buffer);
  const fingerprintAt = OFFSET.host + hostBytes.length;
  view.setUint16(OFFSET.length, bytes.length);
  view.setUint8(
    OFFSET.flags,
    (code.trust === "public-ca" ? FLAG.publicCa : 0) | (code.fingerprint === null ? 0 : FLAG.fingerprint),
  );
  view.setUint16(OFFSET.port, code.relay.port);
  view.setUint8(OFFSET.hostLength, hostBytes.length);
  bytes.set(hostBytes, OFFSET.host);
  bytes.set(fingerprint, fingerprintAt);
  bytes.set(code.secret, fingerprintAt + fingerprint.length);
  view.setUint32(bytes.length - CHECKSUM_BYTES, crc32(bytes.subarray(0, bytes.length - CHECKSUM_BYTES)));
  return ok(PREFIX + encodeBase32(bytes));
}

/** Reads a pasted code: upper or lower case, broken over lines or not. Never throws. */
export function decodeJoinCode(text: string): Result<JoinCode, JoinCodeError> {
  const code = text.replace(/\s+/g, "").toLowerCase();
  const version = ANY_PREFIX.exec(code)?.[1];
  if (version === undefined) return fail(startsLikeACode(code) ? "incomplete" : "not-a-code");
  if (Number(version) !== JOIN_CODE_VERSION) return fail("version");

  const decoded = decodeBase32(code.slice(PREFIX.length));
  if (decoded === null) return fail("mistyped");
  const { bytes, exact } = decoded;
  if (bytes.length < OFFSET.flags) return fail("incomplete");
  const length = new DataView(bytes.buffer).getUint16(OFFSET.length);
  if (length < PAYLOAD_BYTES_MIN || length > PAYLOAD_BYTES_MAX) return fail("mistyped");
  if (bytes.length < length) return fail("incomplete");
  const payload = bytes.subarray(0, length);
  if (!checksumHolds(payload)) return fail("mistyped");
  if (bytes.length > length) return fail("too-long");
  // The last character's spare bits are zero and there is no character more than the bytes need: one code, one spelling.
  if (!exact) return fail("mistyped");
  return decodePayload(payload);
}

function decodePayload(bytes: Uint8Array): Result<JoinCode, JoinCodeError> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint8(OFFSET.flags);
  const port = view.getUint16(OFFSET.port);
  const hostEnd = OFFSET.host + view.getUint8(OFFSET.hostLength);
  const pinned = (flags & FLAG.fingerprint) !== 0;
  const secretAt = hostEnd + (pinned ? FINGERPRINT_BYTES : 0);
  const secretEnd = bytes.length - CHECKSUM_BYTES;
  if ((flags & ~KNOWN_FLAGS) !== 0 || secretAt > secretEnd) return fail("invalid");

  const host = String.fromCharCode(...bytes.subarray(OFFSET.host, hostEnd));
  const fingerprint = pinned ? bytes.slice(hostEnd, secretAt) : null;
  const secret = bytes.slice(secretAt, secretEnd);
  if (problemOf(host, port, fingerprint, secret) !== null) return fail("invalid");
  const relay = { host, port };
  if ((flags & FLAG.publicCa) !== 0) return ok({ relay, secret, trust: "public-ca", fingerprint });
  if (fingerprint === null) return fail("invalid");
  return ok({ relay, secret, trust: "pinned", fingerprint });
}

/** What a code cannot hold, as a sentence; null = nothing is wrong. A host has one spelling, so that a code has one. */
function problemOf(host: string, port: number, fingerprint: Uint8Array | null, secret: Uint8Array): string | null {
  if (!isHost(host))
    return `A join code needs the relay's host name or address, and ${JSON.stringify(host)} is neither.`;
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT)
    return `A join code needs the relay's port, from 1 to ${MAX_PORT}, not ${port}.`;
  if (fingerprint !== null && fingerprint.length !== FINGERPRINT_BYTES)
    return `A certificate fingerprint has ${FINGERPRINT_BYTES} bytes, not ${fingerprint.length}.`;
  if (secret.length < SECRET_BYTES_MIN || secret.length > SECRET_BYTES_MAX)
    return `A join code's secret has ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes, not ${secret.length}.`;
  return null;
}

function isHost(host: string): boolean {
  const parsed = parseHost(host);
  return parsed.ok && parsed.value === host;
}

function checksumHolds(payload: Uint8Array): boolean {
  const at = payload.length - CHECKSUM_BYTES;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return view.getUint32(at) === crc32(payload.subarray(0, at));
}

/** `hatch`, `hatchway`, `hatchway1`: the beginning of a code, clipped before its payload. */
function startsLikeACode(code: string): boolean {
  return code.length > 0 && (NAME.startsWith(code) || /^hatchway\d{1,9}$/.test(code));
}

function fail(kind: JoinCodeErrorKind): Result<never, JoinCodeError> {
  return err({ kind, message: SENTENCE[kind] });
}
