import {
  type Family,
  type IpWords,
  ipFromBytes,
  ipToBytes,
  newIpWords,
  readIp,
  V4_BYTES,
  V6_BYTES,
  writeIp,
} from "./ip-words.ts";
import { err, ok, type Result } from "./result.ts";
import { quoted, type TextError } from "./text-error.ts";

export { type AddressClass, classifyAddress } from "./address-class.ts";

/** A network, canonical text: `192.0.2.0/24`, `2001:db8::/32`; host bits zero. Made only by parseCidr. */
export type Cidr = string & { readonly __brand: "Cidr" };

const V4_BITS = V4_BYTES * 8;
const V6_BITS = V6_BYTES * 8;
/** Bits before the IPv4 address in an IPv4-mapped one. */
const MAPPED_BITS = V6_BITS - V4_BITS;
const MAPPED_PREFIX = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
const WORD_BITS = 32;
const ALL_ONES = 0xffffffff;
const WORDS = 4;
/** IPv6 sources are counted by the network one subscriber has (RFC 6177). */
const SOURCE_WORDS = 2;

function place(text: string, message: string, offset = 0, length = text.length): TextError {
  return { message, offset, length };
}

/**
 * The address in canonical text: dotted decimal; RFC 5952 for IPv6; IPv4-mapped IPv6 as IPv4. Refused: zone ids
 * (`fe80::1%eth0`: a configuration must not depend on interface names), octal, hexadecimal and short IPv4 forms.
 */
export function parseAddress(text: string): Result<string, TextError> {
  const zone = text.indexOf("%");
  if (zone >= 0) return err(place(text, "Write the address without a zone id.", zone, text.length - zone));
  const words = newIpWords();
  const family = readIp(text, words);
  if (family === null) return err(notAddress(text));
  return ok(writeIp(family, words));
}

function notAddress(text: string): TextError {
  return place(text, `${quoted(text)} is not an IP address; write one like 192.0.2.7 or 2001:db8::7.`);
}

function notNetwork(text: string): TextError {
  return place(text, `${quoted(text)} is not a network or address; write one like 192.0.2.0/24 or 2001:db8::/32.`);
}

/** `192.0.2.0/24`, `2001:db8::/32`; a lone address is a /32 or /128; host bits are zeroed; an IPv4-mapped network is IPv4. */
export function parseCidr(text: string): Result<Cidr, TextError> {
  const slash = text.indexOf("/");
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const parsed = parseAddress(addressText);
  if (!parsed.ok) return err(addressText.includes("%") ? parsed.error : notNetwork(addressText));
  const words = newIpWords();
  const family: Family = readIp(addressText, words) === 4 ? 4 : 6;
  const bits = family === 4 ? V4_BITS : V6_BITS;
  if (slash < 0) return ok(cidrText(family, words, bits));

  const mapped = family === 4 && addressText.includes(":");
  const writtenBits = mapped ? V6_BITS : bits;
  const least = mapped ? MAPPED_BITS : 0;
  const prefixText = text.slice(slash + 1);
  const prefix = /^(0|[1-9][0-9]{0,2})$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < least || prefix > writtenBits) {
    const message = `The prefix length after "/" is a number from ${least} to ${writtenBits}.`;
    const length = Math.max(1, prefixText.length);
    return err(place(text, message, Math.min(slash + 1, text.length - 1), length));
  }
  return ok(cidrText(family, words, prefix - least));
}

function cidrText(family: Family, words: IpWords, prefix: number): Cidr {
  applyMask(family, words, prefix);
  return `${writeIp(family, words)}/${prefix}` as Cidr;
}

function firstWord(family: Family): number {
  return family === 4 ? WORDS - 1 : 0;
}

/** Bits of `word` (0 = the family's first) that belong to the network. */
function wordMask(prefix: number, word: number): number {
  const bits = Math.min(WORD_BITS, Math.max(0, prefix - word * WORD_BITS));
  return bits === 0 ? 0 : (ALL_ONES << (WORD_BITS - bits)) >>> 0;
}

function applyMask(family: Family, words: IpWords, prefix: number): void {
  const first = firstWord(family);
  for (let at = first; at < WORDS; at++) words[at] = (words[at] ?? 0) & wordMask(prefix, at - first);
}

/** Whether the canonical text of an address or a network is one of IPv6: only there it has a colon. */
export function isIpv6(text: string): boolean {
  return text.includes(":");
}

/** 4 or 16 bytes in network order (a zone id is left out, IPv4-mapped gives 4); null when the text is not an address. */
export function addressBytes(address: string): Uint8Array | null {
  const words = newIpWords();
  const family = readIp(address, words);
  return family === null ? null : ipToBytes(family, words);
}

/** An address in 16 bytes: IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), for protocols with one size of field. */
export function toV6Bytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length === V6_BYTES) return bytes;
  const mapped = new Uint8Array(V6_BYTES);
  mapped.set(MAPPED_PREFIX);
  mapped.set(bytes, MAPPED_PREFIX.length);
  return mapped;
}

/** Canonical text of 4 or 16 bytes in network order; null for any other length. */
export function addressFromBytes(bytes: Uint8Array): string | null {
  const words = newIpWords();
  const family = ipFromBytes(bytes, words);
  return family === null ? null : writeIp(family, words);
}

/**
 * What per-source limits count by: an IPv4 address itself, the /64 of an IPv6 address (`2001:db8:1:2::/64`), because
 * one subscriber has at least that many addresses. A text that is not an address is its own key.
 */
export function sourceKey(address: string): string {
  const words = newIpWords();
  const family = readIp(address, words);
  if (family === null) return address;
  if (family === 4) return writeIp(4, words);
  words.fill(0, SOURCE_WORDS);
  return `${writeIp(6, words)}/${SOURCE_WORDS * WORD_BITS}`;
}

/** A list of networks made ready for many look-ups. */
export interface CidrSet {
  readonly empty: boolean;
  /** False for a text that is not an address. IPv4 networks hold IPv4 (and IPv4-mapped) addresses only, IPv6 ones IPv6 only. */
  contains(address: string): boolean;
}

/** First and last addresses of disjoint networks, sorted: WORDS words each. */
interface Spans {
  readonly count: number;
  readonly firsts: Uint32Array;
  readonly lasts: Uint32Array;
}

/** Sorts and merges once, so that `contains` is a binary search over words: about 0.1 µs, nothing allocated. */
export function compileCidrs(cidrs: readonly Cidr[]): CidrSet {
  const v4 = spansOf(cidrs, 4);
  const v6 = spansOf(cidrs, 6);
  const scratch = newIpWords();
  return {
    empty: cidrs.length === 0,
    contains(address) {
      const family = readIp(address, scratch);
      if (family === null) return false;
      return holds(family === 4 ? v4 : v6, scratch);
    },
  };
}

function compareWords(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): number {
  for (let word = 0; word < WORDS; word++) {
    const difference = (a[aAt + word] ?? 0) - (b[bAt + word] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function holds(spans: Spans, words: IpWords): boolean {
  let low = 0;
  let high = spans.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareWords(spans.firsts, middle * WORDS, words, 0) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && compareWords(words, 0, spans.lasts, (low - 1) * WORDS) <= 0;
}

function spansOf(cidrs: readonly Cidr[], wanted: Family): Spans {
  const networks: { first: IpWords; last: IpWords }[] = [];
  for (const cidr of cidrs) {
    const slash = cidr.indexOf("/");
    const first = newIpWords();
    const family = readIp(cidr.slice(0, slash), first);
    if (family !== wanted) continue;
    const prefix = Number(cidr.slice(slash + 1));
    const last = first.slice();
    const base = firstWord(family);
    for (let at = base; at < WORDS; at++) last[at] = (last[at] ?? 0) | ~wordMask(prefix, at - base);
    networks.push({ first, last });
  }
  networks.sort((a, b) => compareWords(a.first, 0, b.first, 0));
  const firsts = new Uint32Array(networks.length * WORDS);
  const lasts = new Uint32Array(networks.length * WORDS);
  let count = 0;
  for (const { first, last } of networks) {
    // Networks nest or are apart; a sorted one inside the one before adds nothing.
    if (count > 0 && compareWords(last, 0, lasts, (count - 1) * WORDS) <= 0) continue;
    firsts.set(first, count * WORDS);
    lasts.set(last, count * WORDS);
    count++;
  }
  return { count, firsts, lasts };
}
