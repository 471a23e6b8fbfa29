import { addressBytes, addressFromBytes, isIpv6, parseCidr, toV6Bytes } from "../address.ts";
import { err, ok, type Result } from "../result.ts";
import {
  ADDRESS_BYTES,
  align,
  type PcpEncodeError,
  type PcpFilter,
  type PcpOpcode,
  PcpResult,
  viewOf,
} from "./message.ts";

/** §13. */
const OptionCode = { thirdParty: 1, preferFailure: 2, filter: 3 } as const;
/** §7.3: below this an option must be understood. */
const FIRST_OPTIONAL_CODE = 128;
const OPTION_OFFSET = { code: 0, length: 2, data: 4 } as const;
const FILTER_OFFSET = { prefixLength: 1, remotePort: 2, remoteAddress: 4 } as const;
const OPTION_LENGTH = { thirdParty: ADDRESS_BYTES, preferFailure: 0, filter: 4 + ADDRESS_BYTES } as const;
/** §13.3: the prefix length counts the bits of the IPv4-mapped form. */
const PREFIX_BITS = { none: 0, mapped: 96 } as const;

export interface PcpOptions {
  readonly thirdParty: string | null;
  readonly preferFailure: boolean;
  readonly filters: readonly PcpFilter[];
}

export const NO_OPTIONS: PcpOptions = { thirdParty: null, preferFailure: false, filters: [] };

type OptionFailure = typeof PcpResult.malformedOption | typeof PcpResult.unsupportedOption;

interface RawOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/**
 * What stands in `bytes`: all options of a message. `unknown`: a server must refuse what it must understand and does
 * not; a client has no use for more than its own.
 */
export function decodeOptions(
  bytes: Uint8Array,
  opcode: PcpOpcode,
  unknown: "refuse" | "ignore",
): Result<PcpOptions, OptionFailure> {
  const raw = splitOptions(bytes);
  if (raw === null) return err(PcpResult.malformedOption);
  const takesMapping = opcode !== "announce";
  const takesExternal = opcode === "map";
  let thirdParty: string | null = null;
  let preferFailure = false;
  const filters: PcpFilter[] = [];
  for (const { code, data } of raw) {
    switch (code) {
      case OptionCode.thirdParty:
        if (!takesMapping || thirdParty !== null) return err(PcpResult.malformedOption);
        thirdParty = data.length === OPTION_LENGTH.thirdParty ? addressFromBytes(data) : null;
        if (thirdParty === null) return err(PcpResult.malformedOption);
        break;
      case OptionCode.preferFailure:
        if (!takesExternal || preferFailure || data.length !== OPTION_LENGTH.preferFailure) {
          return err(PcpResult.malformedOption);
        }
        preferFailure = true;
        break;
      case OptionCode.filter: {
        const filter = takesExternal ? decodeFilter(data) : null;
        if (filter === null) return err(PcpResult.malformedOption);
        filters.push(filter);
        break;
      }
      default:
        if (unknown === "refuse" && code < FIRST_OPTIONAL_CODE) return err(PcpResult.unsupportedOption);
    }
  }
  return ok({ thirdParty, preferFailure, filters });
}

/**
 * §7.3: null when the options cannot be told apart, which comes before anything that is wrong with one of them, and
 * is a malformed option rather than a malformed request.
 */
function splitOptions(bytes: Uint8Array): RawOption[] | null {
  const view = viewOf(bytes);
  const options: RawOption[] = [];
  let at = 0;
  while (at < bytes.length) {
    const from = at + OPTION_OFFSET.data;
    if (from > bytes.length) return null;
    const end = from + view.getUint16(at + OPTION_OFFSET.length);
    if (align(end) > bytes.length) return null;
    options.push({ code: view.getUint8(at + OPTION_OFFSET.code), data: bytes.subarray(from, end) });
    at = align(end);
  }
  return options;
}

/** Null = malformed. */
function decodeFilter(data: Uint8Array): PcpFilter | null {
  if (data.length !== OPTION_LENGTH.filter) return null;
  const view = viewOf(data);
  const bits = view.getUint8(FILTER_OFFSET.prefixLength);
  // Erratum 3891: the other fields are ignored then.
  if (bits === PREFIX_BITS.none) return { remote: null, remotePort: 0 };
  const address = addressFromBytes(data.subarray(FILTER_OFFSET.remoteAddress));
  if (address === null) return null;
  const prefix = isIpv6(address) ? bits : bits - PREFIX_BITS.mapped;
  const remote = parseCidr(`${address}/${prefix}`);
  return remote.ok ? { remote: remote.value, remotePort: view.getUint16(FILTER_OFFSET.remotePort) } : null;
}

/** Each option's bytes, in an order of our own: only that of the filters matters. */
export function encodeOptions(options: PcpOptions): Result<Uint8Array[], PcpEncodeError> {
  const encoded: Uint8Array[] = [];
  if (options.thirdParty !== null) {
    const address = addressBytes(options.thirdParty);
    if (address === null) return err({ kind: "address" });
    encoded.push(option(OptionCode.thirdParty, toV6Bytes(address)));
  }
  if (options.preferFailure)
    encoded.push(option(OptionCode.preferFailure, new Uint8Array(OPTION_LENGTH.preferFailure)));
  for (const filter of options.filters) {
    const data = encodeFilter(filter);
    if (data === null) return err({ kind: "filter" });
    encoded.push(option(OptionCode.filter, data));
  }
  return ok(encoded);
}

/** Null for `::/0`: its prefix length would forget all filters. */
function encodeFilter({ remote, remotePort }: PcpFilter): Uint8Array | null {
  const data = new Uint8Array(OPTION_LENGTH.filter);
  if (remote === null) return data;
  const slash = remote.indexOf("/");
  const address = addressBytes(remote.slice(0, slash));
  if (address === null) return null;
  const bits = Number(remote.slice(slash + 1)) + (address.length === ADDRESS_BYTES ? 0 : PREFIX_BITS.mapped);
  if (bits === PREFIX_BITS.none) return null;
  const view = viewOf(data);
  view.setUint8(FILTER_OFFSET.prefixLength, bits);
  view.setUint16(FILTER_OFFSET.remotePort, remotePort);
  data.set(toV6Bytes(address), FILTER_OFFSET.remoteAddress);
  return data;
}

function option(code: number, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(align(OPTION_OFFSET.data + data.length));
  const view = viewOf(out);
  view.setUint8(OPTION_OFFSET.code, code);
  view.setUint16(OPTION_OFFSET.length, data.length);
  out.set(data, OPTION_OFFSET.data);
  return out;
}
