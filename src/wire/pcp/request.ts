import { addressBytes, toV6Bytes } from "../address.ts";
import { err, ok, type Result } from "../result.ts";
import { addressAt, decodeBody, encodeWithBody } from "./body.ts";
import {
  HEADER_BYTES,
  isAligned,
  MAX_MESSAGE_BYTES,
  OFFSET,
  opcodeName,
  PCP_VERSION,
  type PcpBody,
  type PcpEncodeError,
  PcpResult,
  type PcpResultCode,
  RESPONSE_BIT,
  viewOf,
} from "./message.ts";

export interface PcpRequest {
  /** 0 = delete (§15); ANNOUNCE sends 0 (§14.1.1). */
  readonly lifetimeSec: number;
  /** As the client knows itself: where it is not the datagram's source, the answer is addressMismatch (§8.2). */
  readonly clientAddress: string;
  readonly body: PcpBody;
}

/** What a server answers when it does not do what was asked; encodePcpRefusal makes the bytes. */
export interface PcpRefusal {
  readonly kind: "refusal";
  readonly result: Exclude<PcpResultCode, typeof PcpResult.success>;
  /** The whole datagram: the answer is a copy of it (§8.2), so that the client finds its request. */
  readonly request: Uint8Array;
  /** Whether the request was understood, and refused for what it asks (§7.2). */
  readonly parsed: boolean;
}

export type PcpRequestError =
  /** Not answered: there is nothing to copy, or it is itself a response (§8.2). */
  { readonly kind: "too-short" } | { readonly kind: "response" } | PcpRefusal;

/** The checks stand in the order of §8.2. */
export function decodePcpRequest(bytes: Uint8Array): Result<PcpRequest, PcpRequestError> {
  const version = bytes[OFFSET.version];
  const code = bytes[OFFSET.opcode];
  if (version === undefined || code === undefined) return err({ kind: "too-short" });
  if ((code & RESPONSE_BIT) !== 0) return err({ kind: "response" });
  // Before the length: another version's header may be shorter, like NAT-PMP's.
  if (version !== PCP_VERSION) return refuse(PcpResult.unsupportedVersion, bytes);
  if (bytes.length < HEADER_BYTES) return err({ kind: "too-short" });
  if (bytes.length > MAX_MESSAGE_BYTES || !isAligned(bytes.length)) return refuse(PcpResult.malformedRequest, bytes);
  const opcode = opcodeName(code);
  if (opcode === null) return refuse(PcpResult.unsupportedOpcode, bytes);
  const body = decodeBody(bytes.subarray(HEADER_BYTES), opcode, "refuse");
  if (!body.ok) return refuse(body.error, bytes);
  return ok({
    lifetimeSec: viewOf(bytes).getUint32(OFFSET.lifetime),
    clientAddress: addressAt(bytes, OFFSET.clientAddress),
    body: body.value,
  });
}

function refuse(result: PcpRefusal["result"], request: Uint8Array): Result<never, PcpRefusal> {
  return err({ kind: "refusal", result, request, parsed: false });
}

export function encodePcpRequest(request: PcpRequest): Result<Uint8Array, PcpEncodeError> {
  const client = addressBytes(request.clientAddress);
  if (client === null) return err({ kind: "address" });
  const out = encodeWithBody(request.body);
  if (!out.ok) return out;
  viewOf(out.value).setUint32(OFFSET.lifetime, request.lifetimeSec);
  out.value.set(toV6Bytes(client), OFFSET.clientAddress);
  return out;
}
