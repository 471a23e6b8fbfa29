import { err, ok, type Result } from "../result.ts";
import { decodeBody, decodeMapping, encodeWithBody } from "./body.ts";
import {
  align,
  HEADER_BYTES,
  isAligned,
  MAX_MESSAGE_BYTES,
  OFFSET,
  opcodeName,
  PCP_VERSION,
  type PcpBody,
  type PcpEncodeError,
  type PcpMapping,
  type PcpOpcode,
  PcpResult,
  RESPONSE_BIT,
  viewOf,
} from "./message.ts";
import type { PcpRefusal } from "./request.ts";

/** What every response tells beside its result (§7.2). */
interface PcpTimes {
  /** Of the mapping; of a refusal, how long the same request would be refused again. */
  readonly lifetimeSec: number;
  /** Seconds since the server's state was new (§8.5). */
  readonly epochSec: number;
}

/** Also the announcement that a server sends unasked when it has lost its state (§14.1): an `announce`. */
export interface PcpSuccess extends PcpTimes {
  readonly kind: "success";
  readonly body: PcpBody;
}

export type PcpResponse =
  | PcpSuccess
  | (PcpTimes & {
      readonly kind: "refused";
      /** A PcpResultCode other than success, or one registered later. */
      readonly result: number;
      readonly opcode: PcpOpcode;
      /** As it was requested; null for ANNOUNCE. The options of the request are not read again. */
      readonly mapping: PcpMapping | null;
    })
  /** §9: `version` is what the server would rather speak; 0 = NAT-PMP. */
  | { readonly kind: "unsupported-version"; readonly version: number };

export type PcpResponseError =
  | { readonly kind: "too-short" }
  /** A request came where a response was due. */
  | { readonly kind: "request" }
  | { readonly kind: "version"; readonly version: number }
  /** Over 1,100 bytes, or not a multiple of 4. */
  | { readonly kind: "length"; readonly length: number }
  /** The answer to what this client never asks. */
  | { readonly kind: "opcode"; readonly opcode: number }
  | { readonly kind: "malformed" };

const SHORTEST_RESPONSE_BYTES = 4;

export function encodePcpSuccess({ body, ...times }: PcpSuccess): Result<Uint8Array, PcpEncodeError> {
  const out = encodeWithBody(body);
  if (out.ok) writeHeader(out.value, PcpResult.success, times);
  return out;
}

/**
 * §8.2: a copy of the request, cut to 1,100 bytes and padded, under the header of a response. A request shorter than
 * a header (of another version, then) is padded to one.
 */
export function encodePcpRefusal(refusal: PcpRefusal, times: PcpTimes): Uint8Array {
  const copied = refusal.request.subarray(0, MAX_MESSAGE_BYTES);
  const out = new Uint8Array(Math.max(HEADER_BYTES, align(copied.length)));
  out.set(copied);
  out[OFFSET.version] = PCP_VERSION;
  out[OFFSET.responseReserved] = 0;
  writeHeader(out, refusal.result, times);
  // §7.2: what was not understood keeps the end of the client's address here, as the copy has it.
  if (refusal.parsed) out.fill(0, OFFSET.reserved, HEADER_BYTES);
  return out;
}

function writeHeader(into: Uint8Array, result: number, { lifetimeSec, epochSec }: PcpTimes): void {
  const view = viewOf(into);
  view.setUint8(OFFSET.opcode, view.getUint8(OFFSET.opcode) | RESPONSE_BIT);
  view.setUint8(OFFSET.result, result);
  view.setUint32(OFFSET.lifetime, lifetimeSec);
  view.setUint32(OFFSET.epoch, epochSec);
}

/** The checks stand in the order of §8.3. Whose response it is, the caller tells by its source and its nonce. */
export function decodePcpResponse(bytes: Uint8Array): Result<PcpResponse, PcpResponseError> {
  if (bytes.length < SHORTEST_RESPONSE_BYTES) return err({ kind: "too-short" });
  const view = viewOf(bytes);
  const code = view.getUint8(OFFSET.opcode);
  if ((code & RESPONSE_BIT) === 0) return err({ kind: "request" });
  const version = view.getUint8(OFFSET.version);
  const result = view.getUint8(OFFSET.result);
  // Before the version and the length: a server of NAT-PMP alone says this in 8 bytes of version 0 (appendix A).
  if (result === PcpResult.unsupportedVersion) return ok({ kind: "unsupported-version", version });
  if (version !== PCP_VERSION) return err({ kind: "version", version });
  if (bytes.length < HEADER_BYTES) return err({ kind: "too-short" });
  if (bytes.length > MAX_MESSAGE_BYTES || !isAligned(bytes.length))
    return err({ kind: "length", length: bytes.length });
  const opcode = opcodeName(code & ~RESPONSE_BIT);
  if (opcode === null) return err({ kind: "opcode", opcode: code & ~RESPONSE_BIT });
  const times: PcpTimes = { lifetimeSec: view.getUint32(OFFSET.lifetime), epochSec: view.getUint32(OFFSET.epoch) };
  const rest = bytes.subarray(HEADER_BYTES);
  if (result !== PcpResult.success) {
    const mapping = opcode === "announce" ? null : decodeMapping(rest);
    if (mapping === null && opcode !== "announce") return err({ kind: "malformed" });
    return ok({ kind: "refused", ...times, result, opcode, mapping });
  }
  const body = decodeBody(rest, opcode, "ignore");
  return body.ok ? ok({ kind: "success", ...times, body: body.value }) : err({ kind: "malformed" });
}
