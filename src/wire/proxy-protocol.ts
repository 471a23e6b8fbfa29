import { addressBytes, addressFromBytes, isIpv6, parseAddress, toV6Bytes } from "./address.ts";
import { type Endpoint, parsePort } from "./endpoint.ts";
import { newGather } from "./gather.ts";
import { err, ok, type Result } from "./result.ts";

/**
 * The PROXY protocol, versions 1 and 2 (haproxy, doc/proxy-protocol.txt): what a proxy writes before the first byte
 * of a connection, or before each datagram, so that the service learns who the visitor is.
 */
export type ProxyHeader =
  /** The proxy speaks for itself (a health check). Version 1 has no such thing and says UNKNOWN. */
  | { readonly kind: "local" }
  /** A visitor whose address cannot be told. */
  | { readonly kind: "unknown" }
  | {
      readonly kind: "visitor";
      /** Version 1 knows streams only and says UNKNOWN for a datagram. */
      readonly transport: "stream" | "datagram";
      readonly source: Endpoint;
      readonly destination: Endpoint;
    };

export type ProxyVersion = "v1" | "v2";

export interface DecodedProxyHeader {
  readonly version: ProxyVersion;
  readonly header: ProxyHeader;
  /** Bytes the header takes, TLVs included; the visitor's bytes follow. */
  readonly length: number;
}

export type ProxyError =
  | { readonly kind: "not-proxy-protocol" }
  | { readonly kind: "v1-too-long" }
  | { readonly kind: "v1-malformed" }
  | { readonly kind: "v2-version"; readonly version: number }
  | { readonly kind: "v2-command"; readonly command: number }
  | { readonly kind: "v2-family"; readonly family: number }
  | { readonly kind: "v2-too-short"; readonly length: number };

/** §2.1: the longest line, with its CRLF. */
export const V1_MAX_BYTES = 107;
const V1_PREFIX = new TextEncoder().encode("PROXY ");
const CR = 0x0d;
const LF = 0x0a;

/** §2.2. */
const V2_SIGNATURE = Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_OFFSET = { versionCommand: 12, family: 13, length: 14, addresses: 16 } as const;
const V2_VERSION = 2;
const V2_COMMAND = { local: 0, proxy: 1 } as const;
const V2_ADDRESS_FAMILY = { unspecified: 0, inet: 1, inet6: 2, unix: 3 } as const;
const V2_TRANSPORT = { unspecified: 0, stream: 1, datagram: 2 } as const;
const V2_ADDRESS_BYTES = { inet: 4, inet6: 16, unix: 108 } as const;
const PORT_BYTES = 2;

/** Both addresses in one family: IPv4 beside IPv6 is told as IPv4-mapped IPv6. */
interface AddressPair {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

function addressPair(source: Endpoint, destination: Endpoint): AddressPair | null {
  const from = addressBytes(source.address);
  const to = addressBytes(destination.address);
  if (from === null || to === null) return null;
  if (from.length === to.length) return { source: from, destination: to };
  return { source: toV6Bytes(from), destination: toV6Bytes(to) };
}

/** An endpoint whose address is no IP address makes the visitor unknown. */
export function encodeProxyHeader(version: ProxyVersion, header: ProxyHeader): Uint8Array {
  return version === "v1" ? encodeV1(header) : encodeV2(header);
}

function encodeV1(header: ProxyHeader): Uint8Array {
  return new TextEncoder().encode(`PROXY ${v1Fields(header)}\r\n`);
}

function v1Fields(header: ProxyHeader): string {
  if (header.kind !== "visitor" || header.transport !== "stream") return "UNKNOWN";
  const pair = addressPair(header.source, header.destination);
  if (pair === null) return "UNKNOWN";
  const protocol = pair.source.length === V2_ADDRESS_BYTES.inet ? "TCP4" : "TCP6";
  const ports = `${header.source.port} ${header.destination.port}`;
  return `${protocol} ${v1Address(pair.source)} ${v1Address(pair.destination)} ${ports}`;
}

/** §2.1 wants IPv6 in groups of hexadecimal digits, so an IPv4-mapped address is not written with dots. */
function v1Address(bytes: Uint8Array): string {
  const text = addressFromBytes(bytes) ?? "";
  if (bytes.length === V2_ADDRESS_BYTES.inet || isIpv6(text)) return text;
  const view = new DataView(bytes.buffer, bytes.byteOffset + V2_ADDRESS_BYTES.inet6 - V2_ADDRESS_BYTES.inet);
  return `::ffff:${view.getUint16(0).toString(16)}:${view.getUint16(2).toString(16)}`;
}

function encodeV2(header: ProxyHeader): Uint8Array {
  if (header.kind === "local") return v2Head(V2_COMMAND.local, 0, 0);
  const pair = header.kind === "visitor" ? addressPair(header.source, header.destination) : null;
  if (header.kind !== "visitor" || pair === null) return v2Head(V2_COMMAND.proxy, 0, 0);

  const size = pair.source.length;
  const family = size === V2_ADDRESS_BYTES.inet ? V2_ADDRESS_FAMILY.inet : V2_ADDRESS_FAMILY.inet6;
  const out = v2Head(V2_COMMAND.proxy, (family << 4) | V2_TRANSPORT[header.transport], 2 * (size + PORT_BYTES));
  out.set(pair.source, V2_OFFSET.addresses);
  out.set(pair.destination, V2_OFFSET.addresses + size);
  const view = new DataView(out.buffer);
  view.setUint16(V2_OFFSET.addresses + 2 * size, header.source.port);
  view.setUint16(V2_OFFSET.addresses + 2 * size + PORT_BYTES, header.destination.port);
  return out;
}

function v2Head(command: number, family: number, length: number): Uint8Array {
  const out = new Uint8Array(V2_OFFSET.addresses + length);
  out.set(V2_SIGNATURE);
  out[V2_OFFSET.versionCommand] = (V2_VERSION << 4) | command;
  out[V2_OFFSET.family] = family;
  new DataView(out.buffer).setUint16(V2_OFFSET.length, length);
  return out;
}

/**
 * Reads the header at the start of `bytes`; null = it may go on, more bytes are needed. Bytes that cannot become a
 * header are refused as soon as they differ, and the answer does not depend on what follows the header.
 */
export function decodeProxyHeader(bytes: Uint8Array): Result<DecodedProxyHeader | null, ProxyError> {
  if (bytes[0] === V1_PREFIX[0]) return decodeV1(bytes);
  const known = Math.min(bytes.length, V2_SIGNATURE.length);
  if (!beginsWith(bytes, V2_SIGNATURE, known)) return err({ kind: "not-proxy-protocol" });
  return decodeV2(bytes);
}

function beginsWith(bytes: Uint8Array, prefix: Uint8Array, count: number): boolean {
  for (let at = 0; at < count; at++) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function decodeV1(bytes: Uint8Array): Result<DecodedProxyHeader | null, ProxyError> {
  if (!beginsWith(bytes, V1_PREFIX, Math.min(bytes.length, V1_PREFIX.length))) {
    return err({ kind: "not-proxy-protocol" });
  }
  const window = bytes.subarray(0, V1_MAX_BYTES);
  const lf = window.indexOf(LF);
  if (lf < 0) return window.length < V1_MAX_BYTES ? ok(null) : err({ kind: "v1-too-long" });
  if (window[lf - 1] !== CR) return err({ kind: "v1-malformed" });
  const line = String.fromCharCode(...window.subarray(V1_PREFIX.length, lf - 1));
  const header = readV1Fields(line);
  if (header === null) return err({ kind: "v1-malformed" });
  return ok({ version: "v1", header, length: lf + 1 });
}

function readV1Fields(line: string): ProxyHeader | null {
  const fields = line.split(" ");
  const [protocol, sourceText, destinationText, sourcePortText, destinationPortText] = fields;
  // §2.1: whatever follows UNKNOWN on the line is ignored.
  if (protocol === "UNKNOWN") return { kind: "unknown" };
  if ((protocol !== "TCP4" && protocol !== "TCP6") || fields.length !== 5) return null;
  const source = readV1Endpoint(protocol, sourceText, sourcePortText);
  const destination = readV1Endpoint(protocol, destinationText, destinationPortText);
  if (source === null || destination === null) return null;
  return { kind: "visitor", transport: "stream", source, destination };
}

function readV1Endpoint(protocol: "TCP4" | "TCP6", addressText = "", portText = ""): Endpoint | null {
  if (isIpv6(addressText) !== (protocol === "TCP6")) return null;
  const address = parseAddress(addressText);
  const port = parsePort(portText, 0, true);
  if (!address.ok || !port.ok || (portText.length > 1 && portText.startsWith("0"))) return null;
  return { address: address.value, port: port.value };
}

function decodeV2(bytes: Uint8Array): Result<DecodedProxyHeader | null, ProxyError> {
  const versionCommand = bytes[V2_OFFSET.versionCommand];
  if (versionCommand === undefined) return ok(null);
  const version = versionCommand >>> 4;
  if (version !== V2_VERSION) return err({ kind: "v2-version", version });
  const command = versionCommand & 0x0f;
  if (command !== V2_COMMAND.local && command !== V2_COMMAND.proxy) return err({ kind: "v2-command", command });
  if (bytes.length < V2_OFFSET.addresses) return ok(null);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint8(V2_OFFSET.family);
  const bodyLength = view.getUint16(V2_OFFSET.length);
  const length = V2_OFFSET.addresses + bodyLength;
  // §2.2: the family of a LOCAL header is ignored.
  const size = command === V2_COMMAND.local ? 0 : v2AddressBytes(family);
  if (size === null) return err({ kind: "v2-family", family });
  const portBytes = size === V2_ADDRESS_BYTES.unix ? 0 : PORT_BYTES;
  if (size > 0 && bodyLength < 2 * (size + portBytes)) return err({ kind: "v2-too-short", length: bodyLength });
  if (bytes.length < length) return ok(null);

  if (command === V2_COMMAND.local) return ok({ version: "v2", header: { kind: "local" }, length });
  if (size === 0 || size === V2_ADDRESS_BYTES.unix) return ok({ version: "v2", header: { kind: "unknown" }, length });
  const from = V2_OFFSET.addresses;
  const ports = from + 2 * size;
  const source = readV2Endpoint(bytes.subarray(from, from + size), view.getUint16(ports));
  const destination = readV2Endpoint(bytes.subarray(from + size, ports), view.getUint16(ports + PORT_BYTES));
  const transport = (family & 0x0f) === V2_TRANSPORT.stream ? "stream" : "datagram";
  return ok({ version: "v2", header: { kind: "visitor", transport, source, destination }, length });
}

/** Bytes of one address; 0 = unspecified family or transport; null = a value §2.2 calls invalid. */
function v2AddressBytes(family: number): number | null {
  const transport = family & 0x0f;
  if (transport > V2_TRANSPORT.datagram) return null;
  const unspecified = transport === V2_TRANSPORT.unspecified;
  switch (family >>> 4) {
    case V2_ADDRESS_FAMILY.unspecified:
      return 0;
    case V2_ADDRESS_FAMILY.inet:
      return unspecified ? 0 : V2_ADDRESS_BYTES.inet;
    case V2_ADDRESS_FAMILY.inet6:
      return unspecified ? 0 : V2_ADDRESS_BYTES.inet6;
    case V2_ADDRESS_FAMILY.unix:
      return unspecified ? 0 : V2_ADDRESS_BYTES.unix;
    default:
      return null;
  }
}

function readV2Endpoint(address: Uint8Array, port: number): Endpoint {
  return { address: addressFromBytes(address) ?? "::", port };
}

/** Version 1 has its keyword (§2.1), version 2 twelve bytes that no other protocol begins with (§2.2). */
const SIGNATURES: readonly Uint8Array[] = [V1_PREFIX, V2_SIGNATURE];

/** Looks for a header's signature in the first bytes of a connection, however they are cut. */
export interface ProxySignatureWatch {
  /** Null = what came so far begins a signature. After true or false it is spent. */
  push(chunk: Uint8Array): boolean | null;
}

export function newProxySignatureWatch(): ProxySignatureWatch {
  let candidates = SIGNATURES;
  let seen = 0;
  return {
    push(chunk) {
      for (const byte of chunk) {
        candidates = candidates.filter((signature) => signature[seen] === byte);
        seen += 1;
        if (candidates.length === 0) return false;
        if (candidates.some(({ length }) => length === seen)) return true;
      }
      return null;
    },
  };
}

/** Of a whole datagram. */
export function beginsProxyHeader(bytes: Uint8Array): boolean {
  return SIGNATURES.some(
    (signature) => bytes.length >= signature.length && beginsWith(bytes, signature, signature.length),
  );
}

/** Reads a header that arrives in pieces. After a value or an error it is spent. */
export interface ProxyHeaderReader {
  /** Null = more bytes are needed. `rest` = the bytes after the header. */
  push(chunk: Uint8Array): Result<{ decoded: DecodedProxyHeader; rest: Uint8Array } | null, ProxyError>;
}

export function newProxyHeaderReader(): ProxyHeaderReader {
  const gathered = newGather();
  return {
    push(chunk) {
      const bytes = gathered.append(chunk);
      const decoded = decodeProxyHeader(bytes);
      if (!decoded.ok) return decoded;
      if (decoded.value === null) return ok(null);
      return ok({ decoded: decoded.value, rest: bytes.subarray(decoded.value.length) });
    },
  };
}
