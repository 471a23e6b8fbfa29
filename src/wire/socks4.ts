import { addressBytes, addressFromBytes } from "./address.ts";
import type { Endpoint, HostPort } from "./endpoint.ts";
import { err, ok, type Result } from "./result.ts";
import type { DecodeStep, SocksError } from "./socks-error.ts";
import { hostName } from "./socks5.ts";

/**
 * SOCKS 4 (Ying-Da Lee, "SOCKS: A protocol for TCP proxy across firewalls") and its extension 4a, in which an address
 * 0.0.0.x, x ≠ 0, says that a host name follows the user id.
 */
export const SOCKS4_VERSION = 4;
/** Replies begin with 0, not with the version. */
const REPLY_VERSION = 0;

const Command = { connect: 1, bind: 2 } as const;
export type Socks4Command = keyof typeof Command;

export const Socks4Reply = { granted: 90, rejected: 91 } as const;
export type Socks4ReplyCode = (typeof Socks4Reply)[keyof typeof Socks4Reply];

const OFFSET = { version: 0, command: 1, port: 2, address: 4, userId: 8 } as const;
const REPLY_BYTES = 8;
const IPV4_BYTES = 4;
const NUL = 0;
/** The protocol sets no bound. */
const MAX_TEXT_BYTES = 255;
const NAME_FOLLOWS = [0, 0, 0, 1];

export interface Socks4Request {
  readonly version: 4;
  readonly command: Socks4Command;
  readonly destination: HostPort;
  /** As sent, one character a byte. Proves nothing. */
  readonly userId: string;
}

/** Fails for a host or user id over 255 bytes, or one with a NUL or characters above U+00FF. */
export function encodeSocks4Request(request: Socks4Request): Result<Uint8Array, SocksError> {
  const { host, port } = request.destination;
  const literal = addressBytes(host);
  const plain = literal?.length === IPV4_BYTES && !nameFollows(literal) ? literal : null;
  const userId = byteText(request.userId);
  const name = plain === null ? byteText(host) : new Uint8Array();
  if (userId === null || name === null) return err({ kind: "too-long" });
  const head = [SOCKS4_VERSION, Command[request.command], port >>> 8, port & 0xff, ...(plain ?? NAME_FOLLOWS)];
  return ok(Uint8Array.from([...head, ...userId, NUL, ...(plain === null ? [...name, NUL] : [])]));
}

function byteText(text: string): Uint8Array | null {
  if (text.length > MAX_TEXT_BYTES) return null;
  const codes = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  return codes.some((code) => code === NUL || code > 0xff) ? null : Uint8Array.from(codes);
}

function nameFollows(address: Uint8Array): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
}

export function decodeSocks4Request(bytes: Uint8Array): DecodeStep<Socks4Request> {
  const version = bytes[OFFSET.version];
  if (version !== undefined && version !== SOCKS4_VERSION) return err({ kind: "version", version });
  const code = bytes[OFFSET.command];
  if (code === undefined) return ok(null);
  const command = code === Command.connect ? "connect" : code === Command.bind ? "bind" : null;
  if (command === null) return err({ kind: "command", command: code });
  if (bytes.length <= OFFSET.userId) return ok(null);

  const userId = readText(bytes, OFFSET.userId);
  if (!userId.ok) return userId;
  if (userId.value === null) return ok(null);
  const port = ((bytes[OFFSET.port] ?? 0) << 8) | (bytes[OFFSET.port + 1] ?? 0);
  const address = bytes.subarray(OFFSET.address, OFFSET.userId);
  let host = addressFromBytes(address);
  let length = userId.value.length;
  if (nameFollows(address)) {
    const name = readText(bytes, length);
    if (!name.ok) return name;
    if (name.value === null) return ok(null);
    host = hostName(name.value.value);
    length = name.value.length;
  }
  if (host === null) return err({ kind: "host" });
  const text = String.fromCharCode(...userId.value.value);
  return ok({ value: { version: SOCKS4_VERSION, command, destination: { host, port }, userId: text }, length });
}

/** The bytes before a NUL; `length` is where the next field begins. */
function readText(bytes: Uint8Array, from: number): DecodeStep<Uint8Array> {
  const window = bytes.subarray(from, from + MAX_TEXT_BYTES + 1);
  const size = window.indexOf(NUL);
  if (size < 0) return window.length > MAX_TEXT_BYTES ? err({ kind: "too-long" }) : ok(null);
  return ok({ value: window.subarray(0, size), length: from + size + 1 });
}

/** `bound` null, or IPv6, is told as 0.0.0.0:0. */
export function encodeSocks4Reply(code: Socks4ReplyCode, bound: Endpoint | null): Uint8Array {
  const out = new Uint8Array(REPLY_BYTES);
  out[OFFSET.version] = REPLY_VERSION;
  out[OFFSET.command] = code;
  const address = bound === null ? null : addressBytes(bound.address);
  if (bound === null || address?.length !== IPV4_BYTES) return out;
  out[OFFSET.port] = bound.port >>> 8;
  out[OFFSET.port + 1] = bound.port;
  out.set(address, OFFSET.address);
  return out;
}

export interface Socks4ReplyMessage {
  readonly code: number;
  readonly bound: Endpoint;
}

export function decodeSocks4Reply(bytes: Uint8Array): DecodeStep<Socks4ReplyMessage> {
  const version = bytes[OFFSET.version];
  if (version !== undefined && version !== REPLY_VERSION) return err({ kind: "version", version });
  if (bytes.length < REPLY_BYTES) return ok(null);
  const address = addressFromBytes(bytes.subarray(OFFSET.address, REPLY_BYTES)) ?? "0.0.0.0";
  const port = ((bytes[OFFSET.port] ?? 0) << 8) | (bytes[OFFSET.port + 1] ?? 0);
  return ok({ value: { code: bytes[OFFSET.command] ?? 0, bound: { address, port } }, length: REPLY_BYTES });
}
