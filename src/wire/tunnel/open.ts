import { addressBytes, addressFromBytes } from "../address.ts";
import type { Endpoint } from "../endpoint.ts";
import { err, ok, type Result } from "../result.ts";
import { readU32, writeU32 } from "./frame.ts";

/**
 * The payload of OPEN and FLOW_OPEN: where a stream or flow should go, and who asks (docs/tunnel-protocol.md).
 *
 *   forward  u8 kind=1 · u32 handle · u16 external port · endpoint visitor · endpoint entry
 *   dial     u8 kind=2 · u8 n · n bytes device · u8 m · m bytes host · u16 port · endpoint visitor · endpoint entry
 *   endpoint u8 address length (4 or 16) · address · u16 port
 */
export type OpenRequest =
  | {
      readonly kind: "forward";
      /** What the exposing agent called this forward when it asked the relay for it. */
      readonly handle: number;
      readonly externalPort: number;
      readonly visitor: Endpoint;
      readonly entry: Endpoint;
    }
  | {
      readonly kind: "dial";
      /** Towards the relay: the device to go out at, "" = the relay itself. Towards an agent: the device that asks. */
      readonly device: string;
      readonly host: string;
      readonly port: number;
      readonly visitor: Endpoint;
      readonly entry: Endpoint;
    };

export type OpenError = {
  readonly kind: "truncated" | "unknown-kind" | "bad-text" | "bad-address" | "trailing" | "too-long";
};

const Kind = { forward: 1, dial: 2 } as const;
/** A DNS name has at most 253 bytes (RFC 1035), a device name 63: one length byte is enough for both. */
const MAX_TEXT_BYTES = 255;
const encoder = new TextEncoder();
/** A byte order mark is no part of a name: kept, so that what is checked is what was sent. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Writer {
  private bytes = new Uint8Array(96);
  private length = 0;
  private room(count: number): number {
    const at = this.length;
    if (at + count > this.bytes.length) {
      const grown = new Uint8Array((at + count) * 2);
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.length += count;
    return at;
  }
  u8(value: number): void {
    // First the room: it may replace `bytes`.
    const at = this.room(1);
    this.bytes[at] = value;
  }
  u16(value: number): void {
    const at = this.room(2);
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
  }
  u32(value: number): void {
    const at = this.room(4);
    writeU32(this.bytes, at, value);
  }
  raw(value: Uint8Array): void {
    const at = this.room(value.length);
    this.bytes.set(value, at);
  }
  endpoint(endpoint: Endpoint): boolean {
    const address = addressBytes(endpoint.address);
    if (address === null) return false;
    this.u8(address.length);
    this.raw(address);
    this.u16(endpoint.port);
    return true;
  }
  done(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** Fails only for a name over 255 bytes or an address that is none. */
export function encodeOpen(request: OpenRequest): Result<Uint8Array, OpenError> {
  const out = new Writer();
  switch (request.kind) {
    case "forward":
      out.u8(Kind.forward);
      out.u32(request.handle);
      out.u16(request.externalPort);
      break;
    case "dial":
      out.u8(Kind.dial);
      for (const text of [request.device, request.host]) {
        const bytes = encoder.encode(text);
        if (bytes.length > MAX_TEXT_BYTES) return err({ kind: "too-long" });
        out.u8(bytes.length);
        out.raw(bytes);
      }
      out.u16(request.port);
      break;
    default:
      return request satisfies never;
  }
  if (!out.endpoint(request.visitor) || !out.endpoint(request.entry)) return err({ kind: "bad-address" });
  return ok(out.done());
}

class Reader {
  at = 0;
  short = false;
  constructor(private readonly bytes: Uint8Array) {}
  private take(count: number): number {
    const at = this.at;
    if (at + count > this.bytes.length) this.short = true;
    this.at += count;
    return at;
  }
  u8(): number {
    return this.bytes[this.take(1)] ?? 0;
  }
  u16(): number {
    const at = this.take(2);
    return this.short ? 0 : ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number);
  }
  u32(): number {
    const at = this.take(4);
    return this.short ? 0 : readU32(this.bytes, at);
  }
  raw(count: number): Uint8Array {
    const at = this.take(count);
    return this.bytes.subarray(at, at + count);
  }
  /** Null = not UTF-8. */
  text(): string | null {
    const bytes = this.raw(this.u8());
    try {
      return decoder.decode(bytes);
    } catch {
      return null;
    }
  }
  endpoint(): Endpoint | null {
    const length = this.u8();
    if (length !== 4 && length !== 16) return null;
    const address = addressFromBytes(this.raw(length));
    const port = this.u16();
    return address === null || this.short ? null : { address, port };
  }
  get rest(): number {
    return this.bytes.length - this.at;
  }
}

export function decodeOpen(bytes: Uint8Array): Result<OpenRequest, OpenError> {
  const input = new Reader(bytes);
  const kind = input.u8();
  if (bytes.length === 0) return err({ kind: "truncated" });
  if (kind === Kind.forward) {
    const handle = input.u32();
    const externalPort = input.u16();
    return finish(input, (visitor, entry) => ({ kind: "forward", handle, externalPort, visitor, entry }));
  }
  if (kind === Kind.dial) {
    const device = input.text();
    const host = input.text();
    const port = input.u16();
    if (device === null || host === null) return err({ kind: input.short ? "truncated" : "bad-text" });
    return finish(input, (visitor, entry) => ({ kind: "dial", device, host, port, visitor, entry }));
  }
  return err({ kind: "unknown-kind" });
}

function finish(
  input: Reader,
  make: (visitor: Endpoint, entry: Endpoint) => OpenRequest,
): Result<OpenRequest, OpenError> {
  const visitor = input.endpoint();
  const entry = input.endpoint();
  if (input.short) return err({ kind: "truncated" });
  if (visitor === null || entry === null) return err({ kind: "bad-address" });
  if (input.rest !== 0) return err({ kind: "trailing" });
  return ok(make(visitor, entry));
}
