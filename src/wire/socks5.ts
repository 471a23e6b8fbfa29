import { addressBytes, addressFromBytes } from "./address.ts";
import { type Endpoint, type HostPort, parseHost } from "./endpoint.ts";
import { err, ok, type Result } from "./result.ts";
import type { Decoded, DecodeStep, SocksError } from "./socks-error.ts";
import { decodeUtf8 } from "./utf8.ts";

/** SOCKS 5: RFC 1928, with user name and password by RFC 1929. Both sides' messages, each with encode and decode. */
export const SOCKS5_VERSION = 5;
const CREDENTIALS_VERSION = 1;

export const SocksMethod = { none: 0, usernamePassword: 2, unacceptable: 0xff } as const;
export type SocksMethodCode = (typeof SocksMethod)[keyof typeof SocksMethod];

const Command = { connect: 1, bind: 2, "udp-associate": 3 } as const;
export type Socks5Command = keyof typeof Command;

/** REP, RFC 1928 §6. */
export const Socks5Reply = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  ttlExpired: 6,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;
export type Socks5ReplyCode = (typeof Socks5Reply)[keyof typeof Socks5Reply];

const AddressType = { ipv4: 1, domain: 3, ipv6: 4 } as const;
const GREETING_OFFSET = { version: 0, count: 1, methods: 2 } as const;
const CREDENTIALS_OFFSET = { version: 0, usernameLength: 1, username: 2 } as const;
/** Requests and replies: VER, CMD or REP, RSV, then the address. */
const MESSAGE_OFFSET = { version: 0, code: 1, address: 3 } as const;
/** UDP: RSV (2), FRAG, then the address. */
const UDP_OFFSET = { fragment: 2, address: 3 } as const;
const UNFRAGMENTED = 0;
const PORT_BYTES = 2;
const MAX_FIELD_BYTES = 255;
const RESERVED = 0;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const UNBOUND: Endpoint = { address: "0.0.0.0", port: 0 };

const encoder = new TextEncoder();

// ---- greeting and choice of method ----

/** What the client offers: VER, NMETHODS, METHODS. */
export function encodeSocks5Greeting(methods: readonly number[]): Uint8Array {
  return Uint8Array.from([
    SOCKS5_VERSION,
    Math.min(methods.length, MAX_FIELD_BYTES),
    ...methods.slice(0, MAX_FIELD_BYTES),
  ]);
}

export function decodeSocks5Greeting(bytes: Uint8Array): DecodeStep<readonly number[]> {
  const version = bytes[GREETING_OFFSET.version];
  if (version !== undefined && version !== SOCKS5_VERSION) return err({ kind: "version", version });
  const count = bytes[GREETING_OFFSET.count];
  if (count === undefined) return ok(null);
  const length = GREETING_OFFSET.methods + count;
  if (bytes.length < length) return ok(null);
  return ok({ value: [...bytes.subarray(GREETING_OFFSET.methods, length)], length });
}

/** The server's choice; `unacceptable` before it closes. */
export function encodeSocks5Method(method: SocksMethodCode): Uint8Array {
  return Uint8Array.from([SOCKS5_VERSION, method]);
}

export function decodeSocks5Method(bytes: Uint8Array): DecodeStep<number> {
  const [version, method] = bytes;
  if (version !== undefined && version !== SOCKS5_VERSION) return err({ kind: "version", version });
  return method === undefined ? ok(null) : ok({ value: method, length: 2 });
}

// ---- user name and password, RFC 1929 ----

export interface SocksCredentials {
  readonly username: string;
  readonly password: string;
}

/** Fails when either is over 255 bytes of UTF-8. */
export function encodeSocksCredentials(credentials: SocksCredentials): Result<Uint8Array, SocksError> {
  const username = encoder.encode(credentials.username);
  const password = encoder.encode(credentials.password);
  if (username.length > MAX_FIELD_BYTES || password.length > MAX_FIELD_BYTES) return err({ kind: "too-long" });
  return ok(Uint8Array.from([CREDENTIALS_VERSION, username.length, ...username, password.length, ...password]));
}

export function decodeSocksCredentials(bytes: Uint8Array): DecodeStep<SocksCredentials> {
  const version = bytes[CREDENTIALS_OFFSET.version];
  if (version !== undefined && version !== CREDENTIALS_VERSION) return err({ kind: "credentials-version", version });
  const usernameLength = bytes[CREDENTIALS_OFFSET.usernameLength];
  if (usernameLength === undefined) return ok(null);
  const passwordLengthAt = CREDENTIALS_OFFSET.username + usernameLength;
  const passwordLength = bytes[passwordLengthAt];
  if (passwordLength === undefined) return ok(null);
  const passwordAt = passwordLengthAt + 1;
  const length = passwordAt + passwordLength;
  if (bytes.length < length) return ok(null);
  const username = decodeUtf8(bytes.subarray(CREDENTIALS_OFFSET.username, passwordLengthAt));
  const password = decodeUtf8(bytes.subarray(passwordAt, length));
  if (username === null || password === null) return err({ kind: "text" });
  return ok({ value: { username, password }, length });
}

const CREDENTIALS_STATUS = { accepted: 0, refused: 1 } as const;

export function encodeSocksCredentialsReply(accepted: boolean): Uint8Array {
  return Uint8Array.from([CREDENTIALS_VERSION, accepted ? CREDENTIALS_STATUS.accepted : CREDENTIALS_STATUS.refused]);
}

/** True = accepted. */
export function decodeSocksCredentialsReply(bytes: Uint8Array): DecodeStep<boolean> {
  const [version, status] = bytes;
  if (version !== undefined && version !== CREDENTIALS_VERSION) return err({ kind: "credentials-version", version });
  return status === undefined ? ok(null) : ok({ value: status === CREDENTIALS_STATUS.accepted, length: 2 });
}

// ---- requests and replies ----

export interface Socks5Request {
  readonly version: 5;
  readonly command: Socks5Command;
  /** Canonical: parseHost's text. For UDP ASSOCIATE where the client will send from, often 0.0.0.0:0. */
  readonly destination: HostPort;
}

/** Fails for a host that is no address and over 255 bytes. */
export function encodeSocks5Request(request: Socks5Request): Result<Uint8Array, SocksError> {
  return encodeMessage([SOCKS5_VERSION, Command[request.command], RESERVED], request.destination);
}

export function decodeSocks5Request(bytes: Uint8Array): DecodeStep<Socks5Request> {
  const version = bytes[MESSAGE_OFFSET.version];
  if (version !== undefined && version !== SOCKS5_VERSION) return err({ kind: "version", version });
  const code = bytes[MESSAGE_OFFSET.code];
  if (code === undefined) return ok(null);
  const command = commandName(code);
  if (command === null) return err({ kind: "command", command: code });
  const destination = decodeAddress(bytes, MESSAGE_OFFSET.address);
  if (!destination.ok) return destination;
  if (destination.value === null) return ok(null);
  return ok({
    value: { version: SOCKS5_VERSION, command, destination: destination.value.value },
    length: destination.value.length,
  });
}

function commandName(code: number): Socks5Command | null {
  for (const [name, value] of Object.entries(Command)) if (value === code) return name as Socks5Command;
  return null;
}

/** `bound`: where the server connects from, or listens for datagrams; null = not known (0.0.0.0:0). */
export function encodeSocks5Reply(code: Socks5ReplyCode, bound: Endpoint | null): Uint8Array {
  const head = [SOCKS5_VERSION, code, RESERVED];
  const { address, port } = bound ?? UNBOUND;
  const bytes = addressBytes(address) ?? new Uint8Array(IPV4_BYTES);
  return concat(head, literalAddress(bytes, port));
}

export interface Socks5ReplyMessage {
  /** A Socks5Reply, or a code of the server's own. */
  readonly code: number;
  readonly bound: HostPort;
}

export function decodeSocks5Reply(bytes: Uint8Array): DecodeStep<Socks5ReplyMessage> {
  const version = bytes[MESSAGE_OFFSET.version];
  if (version !== undefined && version !== SOCKS5_VERSION) return err({ kind: "version", version });
  const code = bytes[MESSAGE_OFFSET.code];
  if (code === undefined) return ok(null);
  const bound = decodeAddress(bytes, MESSAGE_OFFSET.address);
  if (!bound.ok) return bound;
  return ok(bound.value === null ? null : { value: { code, bound: bound.value.value }, length: bound.value.length });
}

// ---- UDP, RFC 1928 §7 ----

export interface SocksDatagram {
  readonly destination: HostPort;
  /** A view of the datagram that was decoded. */
  readonly payload: Uint8Array;
}

/** What stands before the payload in each direction; the same for all datagrams of a flow. Fails as encodeSocks5Request. */
export function encodeSocksUdpHeader(endpoint: HostPort): Result<Uint8Array, SocksError> {
  return encodeMessage([RESERVED, RESERVED, UNFRAGMENTED], endpoint);
}

export function encodeSocksDatagram(datagram: SocksDatagram): Result<Uint8Array, SocksError> {
  const header = encodeSocksUdpHeader(datagram.destination);
  return header.ok ? ok(concat(header.value, datagram.payload)) : header;
}

export function decodeSocksDatagram(bytes: Uint8Array): Result<SocksDatagram, SocksError> {
  const fragment = bytes[UDP_OFFSET.fragment];
  if (fragment === undefined) return err({ kind: "truncated" });
  if (fragment !== UNFRAGMENTED) return err({ kind: "fragment", fragment });
  const address = decodeAddress(bytes, UDP_OFFSET.address);
  if (!address.ok) return address;
  if (address.value === null) return err({ kind: "truncated" });
  return ok({ destination: address.value.value, payload: bytes.subarray(address.value.length) });
}

// ---- addresses: ATYP, address, port ----

function encodeMessage(head: readonly number[], { host, port }: HostPort): Result<Uint8Array, SocksError> {
  const literal = addressBytes(host);
  if (literal !== null) return ok(concat(head, literalAddress(literal, port)));
  const name = encoder.encode(host);
  if (name.length === 0 || name.length > MAX_FIELD_BYTES) return err({ kind: name.length === 0 ? "host" : "too-long" });
  return ok(concat(head, [AddressType.domain, name.length, ...name, port >>> 8, port & 0xff]));
}

function literalAddress(bytes: Uint8Array, port: number): number[] {
  const type = bytes.length === IPV4_BYTES ? AddressType.ipv4 : AddressType.ipv6;
  return [type, ...bytes, port >>> 8, port & 0xff];
}

function concat(head: ArrayLike<number>, tail: ArrayLike<number>): Uint8Array {
  const out = new Uint8Array(head.length + tail.length);
  out.set(head);
  out.set(tail, head.length);
  return out;
}

/** The `length` of the result counts from the start of `bytes`. */
function decodeAddress(bytes: Uint8Array, from: number): Result<Decoded<HostPort> | null, SocksError> {
  const addressType = bytes[from];
  if (addressType === undefined) return ok(null);
  let start = from + 1;
  let size: number;
  switch (addressType) {
    case AddressType.ipv4:
      size = IPV4_BYTES;
      break;
    case AddressType.ipv6:
      size = IPV6_BYTES;
      break;
    case AddressType.domain: {
      const named = bytes[start];
      if (named === undefined) return ok(null);
      size = named;
      start++;
      break;
    }
    default:
      return err({ kind: "address-type", addressType });
  }
  const end = start + size;
  const length = end + PORT_BYTES;
  if (bytes.length < length) return ok(null);
  const raw = bytes.subarray(start, end);
  const host = addressType === AddressType.domain ? hostName(raw) : addressFromBytes(raw);
  if (host === null) return err({ kind: "host" });
  return ok({ value: { host, port: ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0) }, length });
}

/** A host name in bytes, canonical; some clients write an address as a name. Null when it is neither. */
export function hostName(bytes: Uint8Array): string | null {
  const host = parseHost(String.fromCharCode(...bytes));
  return host.ok ? host.value : null;
}
