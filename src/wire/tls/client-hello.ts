import { err, ok, type Result } from "../result.ts";
import { siteNameOf } from "../site-name.ts";

/**
 * What a TLS client says first, of TLS 1.2 and 1.3 alike (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2): enough of it to know
 * whom it wants, before anybody answers.
 *
 *   record     u8 type=22 · u16 version · u16 length · fragment; a handshake message may span records (§5.1)
 *   handshake  u8 type=1 · u24 length · body
 *   body       u16 version · 32 random · u8 n · session id · u16 n · suites · u8 n · compression · u16 n · extensions
 *   extension  u16 type · u16 length · data
 */
export interface ClientHello {
  /** In canonical form; null = the client names nobody. */
  readonly serverName: string | null;
  /** Application protocols in the client's order (RFC 7301), as text of single bytes; empty = it names none. */
  readonly protocols: readonly string[];
}

export type ClientHelloErrorKind = "not-tls" | "too-long" | "malformed" | "bad-name";
export interface ClientHelloError {
  readonly kind: ClientHelloErrorKind;
}

/** The largest hello that is read: browsers send 0.5 to 2 KB, with post-quantum key shares included. */
export const MAX_HELLO_BYTES = 16_384;

const RECORD_HEADER = 5;
const RECORD_LENGTH_AT = 3;
const MAX_RECORD_BYTES = 16_384;
const HANDSHAKE_RECORD = 22;
const TLS_MAJOR = 3;
const HANDSHAKE_HEADER = 4;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM = 34;
const Extension = { serverName: 0, protocols: 16 } as const;
const HOST_NAME = 0;
const ALERT_RECORD = 21;
const FATAL = 2;

/** Incremental: bytes are fed as they come, and kept, so that they can be handed on. */
export class ClientHelloReader {
  #bytes = new Uint8Array(1_024);
  #length = 0;

  /** All that was fed. A view that the next `feed` may make stale. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Null = more bytes are needed. What follows the hello is kept, and not looked at. */
  feed(bytes: Uint8Array): Result<ClientHello, ClientHelloError> | null {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
    return decodeClientHello(this.bytes);
  }
}

/** The hello at the start of a connection's bytes; null = they are not all of it. */
export function decodeClientHello(bytes: Uint8Array): Result<ClientHello, ClientHelloError> | null {
  const message = handshakeOf(bytes);
  if (message === null) return null;
  if (!message.ok) return message;
  return decodeBody(new Cursor(message.value));
}

/** Puts the fragments together until the first message is whole. */
function handshakeOf(bytes: Uint8Array): Result<Uint8Array, ClientHelloError> | null {
  const whole = new Uint8Array(bytes.length);
  let have = 0;
  for (let at = 0; ; ) {
    // As soon as a byte is there it must be of TLS: whoever speaks something else is not waited for.
    if (at < bytes.length && bytes[at] !== HANDSHAKE_RECORD) return fail("not-tls");
    if (at + 1 < bytes.length && bytes[at + 1] !== TLS_MAJOR) return fail("not-tls");
    if (at + RECORD_HEADER > bytes.length) return null;
    const length = u16(bytes, at + RECORD_LENGTH_AT);
    // An empty fragment of a handshake is forbidden (RFC 8446 §5.1).
    if (length === 0 || length > MAX_RECORD_BYTES) return fail("malformed");
    const fragment = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    whole.set(fragment, have);
    have += fragment.length;
    if (have > 0 && whole[0] !== CLIENT_HELLO) return fail("not-tls");
    if (have >= HANDSHAKE_HEADER) {
      const end = HANDSHAKE_HEADER + (((whole[1] as number) << 16) | u16(whole, 2));
      if (end > MAX_HELLO_BYTES) return fail("too-long");
      if (have >= end) return ok(whole.subarray(HANDSHAKE_HEADER, end));
    }
    at += RECORD_HEADER + length;
    // Fragments of one byte each would be six times the message.
    if (at > 2 * MAX_HELLO_BYTES) return fail("too-long");
    if (fragment.length < length) return null;
  }
}

function decodeBody(body: Cursor): Result<ClientHello, ClientHelloError> {
  body.take(VERSION_AND_RANDOM);
  body.take(body.u8());
  body.take(body.u16());
  body.take(body.u8());
  if (body.short) return fail("malformed");
  let serverName: string | null = null;
  let protocols: readonly string[] = [];
  if (body.rest === 0) return ok({ serverName, protocols });
  const extensions = new Cursor(body.take(body.u16()));
  if (body.short || body.rest !== 0) return fail("malformed");
  const seen = new Set<number>();
  while (extensions.rest > 0) {
    const type = extensions.u16();
    const data = new Cursor(extensions.take(extensions.u16()));
    if (extensions.short) return fail("malformed");
    // Twice the same is forbidden (RFC 8446 §4.2): two readers could take different ones.
    if (seen.has(type)) return fail("malformed");
    seen.add(type);
    if (type === Extension.serverName) {
      const name = decodeServerName(data);
      if (!name.ok) return name;
      serverName = name.value;
    } else if (type === Extension.protocols) {
      const names = decodeProtocols(data);
      if (names === null) return fail("malformed");
      protocols = names;
    }
  }
  return ok({ serverName, protocols });
}

/** RFC 6066 §3: a list, in which nobody ever put more than one host name. */
function decodeServerName(data: Cursor): Result<string, ClientHelloError> {
  const list = new Cursor(data.take(data.u16()));
  if (data.short || data.rest !== 0) return fail("malformed");
  const type = list.u8();
  const bytes = list.take(list.u16());
  if (list.short || list.rest !== 0 || type !== HOST_NAME) return fail("malformed");
  const name = siteNameOf(latin1(bytes));
  return name === null ? fail("bad-name") : ok(name);
}

function decodeProtocols(data: Cursor): readonly string[] | null {
  const list = new Cursor(data.take(data.u16()));
  if (data.short || data.rest !== 0) return null;
  const names: string[] = [];
  while (list.rest > 0) {
    const name = list.take(list.u8());
    if (list.short || name.length === 0) return null;
    names.push(latin1(name));
  }
  return names;
}

class Cursor {
  short = false;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get rest(): number {
    return this.bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    const from = this.#at;
    if (from + count > this.bytes.length) {
      this.short = true;
      this.#at = this.bytes.length;
    } else {
      this.#at += count;
    }
    return this.bytes.subarray(from, this.#at);
  }

  u8(): number {
    return this.take(1)[0] ?? 0;
  }

  u16(): number {
    const bytes = this.take(2);
    return bytes.length < 2 ? 0 : u16(bytes, 0);
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function fail(kind: ClientHelloErrorKind): Result<never, ClientHelloError> {
  return err({ kind });
}

/** RFC 8446 §6.2. */
export const Alert = {
  accessDenied: 49,
  decodeError: 50,
  internalError: 80,
  unrecognizedName: 112,
  noApplicationProtocol: 120,
} as const;
export type AlertName = keyof typeof Alert;

/** A fatal alert in a record of its own, before any key is agreed on. */
export function encodeAlert(alert: AlertName): Uint8Array {
  return Uint8Array.of(ALERT_RECORD, TLS_MAJOR, 3, 0, 2, FATAL, Alert[alert]);
}
