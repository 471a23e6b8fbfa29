import { addressBytes, addressFromBytes, toV6Bytes } from "../address.ts";
import { fromHex, toHex } from "../hex.ts";
import { err, ok, type Result } from "../result.ts";
import {
  ADDRESS_BYTES,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  NONCE_BYTES,
  OFFSET,
  Opcode,
  PCP_VERSION,
  type PcpBody,
  type PcpEncodeError,
  type PcpMapping,
  type PcpOpcode,
  PcpProtocol,
  PcpResult,
  viewOf,
} from "./message.ts";
import { decodeOptions, encodeOptions, NO_OPTIONS, type PcpOptions } from "./options.ts";

/** §11.1 and 12.1, from the end of the header: PEER begins like MAP. */
const BODY_OFFSET = {
  nonce: 0,
  protocol: 12,
  internalPort: 16,
  externalPort: 18,
  externalAddress: 20,
  remotePort: 36,
  remoteAddress: 40,
} as const;
const NONCE_FORM = /^[0-9a-f]{24}$/;
const BODY_BYTES: Readonly<Record<PcpOpcode, number>> = { announce: 0, map: 36, peer: 56 };

type BodyFailure =
  | typeof PcpResult.malformedRequest
  | typeof PcpResult.malformedOption
  | typeof PcpResult.unsupportedOption;

/** What follows the header; the error is the result code of the answer. */
export function decodeBody(
  bytes: Uint8Array,
  opcode: PcpOpcode,
  unknownOptions: "refuse" | "ignore",
): Result<PcpBody, BodyFailure> {
  const size = BODY_BYTES[opcode];
  if (bytes.length < size) return err(PcpResult.malformedRequest);
  if (opcode === "announce") {
    const options = decodeOptions(bytes, opcode, unknownOptions);
    return options.ok ? ok({ opcode }) : options;
  }
  const mapping = decodeMapping(bytes);
  if (mapping === null) return err(PcpResult.malformedRequest);
  // §11.3: all protocols have no port in common.
  if (mapping.protocol === PcpProtocol.all && mapping.internalPort !== 0) return err(PcpResult.malformedRequest);
  const options = decodeOptions(bytes.subarray(size), opcode, unknownOptions);
  if (!options.ok) return options;
  if (opcode === "map") return ok({ opcode, ...mapping, ...options.value });
  return ok({
    opcode,
    ...mapping,
    remotePort: viewOf(bytes).getUint16(BODY_OFFSET.remotePort),
    remoteAddress: addressAt(bytes, BODY_OFFSET.remoteAddress),
    thirdParty: options.value.thirdParty,
  });
}

/** The fields that MAP and PEER share; null when they are not all there. */
export function decodeMapping(bytes: Uint8Array): PcpMapping | null {
  if (bytes.length < BODY_BYTES.map) return null;
  const view = viewOf(bytes);
  return {
    nonce: toHex(bytes.subarray(BODY_OFFSET.nonce, BODY_OFFSET.nonce + NONCE_BYTES)),
    protocol: view.getUint8(BODY_OFFSET.protocol),
    internalPort: view.getUint16(BODY_OFFSET.internalPort),
    externalPort: view.getUint16(BODY_OFFSET.externalPort),
    externalAddress: addressAt(bytes, BODY_OFFSET.externalAddress),
  };
}

/** Needs ADDRESS_BYTES at `at`. */
export function addressAt(bytes: Uint8Array, at: number): string {
  return addressFromBytes(bytes.subarray(at, at + ADDRESS_BYTES)) ?? "::";
}

/** A whole message, but for what differs between the headers of requests and responses. */
export function encodeWithBody(body: PcpBody): Result<Uint8Array, PcpEncodeError> {
  const options = encodeOptions(optionsOf(body));
  if (!options.ok) return options;
  const optionsAt = HEADER_BYTES + BODY_BYTES[body.opcode];
  const size = options.value.reduce((sum, option) => sum + option.length, optionsAt);
  if (size > MAX_MESSAGE_BYTES) return err({ kind: "too-long" });
  const out = new Uint8Array(size);
  out[OFFSET.version] = PCP_VERSION;
  out[OFFSET.opcode] = Opcode[body.opcode];
  const fields = out.subarray(HEADER_BYTES, optionsAt);
  if (body.opcode !== "announce") {
    const failure = writeMapping(fields, body);
    if (failure !== null) return err(failure);
  }
  if (body.opcode === "peer") {
    const remote = addressBytes(body.remoteAddress);
    if (remote === null) return err({ kind: "address" });
    viewOf(fields).setUint16(BODY_OFFSET.remotePort, body.remotePort);
    fields.set(toV6Bytes(remote), BODY_OFFSET.remoteAddress);
  }
  let at = optionsAt;
  for (const option of options.value) {
    out.set(option, at);
    at += option.length;
  }
  return ok(out);
}

function optionsOf(body: PcpBody): PcpOptions {
  switch (body.opcode) {
    case "announce":
      return NO_OPTIONS;
    case "map":
      return body;
    case "peer":
      return { ...NO_OPTIONS, thirdParty: body.thirdParty };
    default:
      return body satisfies never;
  }
}

function writeMapping(into: Uint8Array, mapping: PcpMapping): PcpEncodeError | null {
  const external = addressBytes(mapping.externalAddress);
  if (external === null) return { kind: "address" };
  const nonce = fromHex(mapping.nonce);
  if (nonce === null || !NONCE_FORM.test(mapping.nonce)) return { kind: "nonce" };
  const view = viewOf(into);
  into.set(nonce, BODY_OFFSET.nonce);
  view.setUint8(BODY_OFFSET.protocol, mapping.protocol);
  view.setUint16(BODY_OFFSET.internalPort, mapping.internalPort);
  view.setUint16(BODY_OFFSET.externalPort, mapping.externalPort);
  into.set(toV6Bytes(external), BODY_OFFSET.externalAddress);
  return null;
}
