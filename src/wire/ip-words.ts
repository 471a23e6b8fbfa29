import ipaddr from "ipaddr.js";

/**
 * An IP address as four 32-bit words in network order. IPv4 uses the last word only; IPv4-mapped IPv6 (::ffff:0:0/96)
 * reads as IPv4. The parser runs on every new connection: one pass, no regular expression, no allocation. It takes
 * dotted decimal and RFC 4291 §2.2 text only; ipaddr.js, which also takes octal and hexadecimal parts, writes the text.
 */
export type IpWords = Uint32Array;
export type Family = 4 | 6;

const WORDS = 4;
const GROUPS = 8;
const GROUP_BITS = 16;
const GROUP_MASK = 0xffff;
const BYTE_MASK = 0xff;
export const V4_BYTES = 4;
export const V6_BYTES = 16;
/** The third word of an IPv4-mapped address (RFC 4291 §2.5.5.2). */
const MAPPED_WORD = 0xffff;

const CODE = { zero: 48, nine: 57, dot: 46, colon: 58, percent: 37, lowerA: 97, lowerF: 102, toLower: 0x20 } as const;

export function newIpWords(): IpWords {
  return new Uint32Array(WORDS);
}

/**
 * Reads an address into `out`; null when the text is none. A zone id (`fe80::1%eth0`, as sockets report link-local
 * peers) is skipped: it names an interface, not an address.
 */
export function readIp(text: string, out: IpWords): Family | null {
  let colon = false;
  let end = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === CODE.colon) colon = true;
    else if (code === CODE.percent) {
      end = at;
      break;
    }
  }
  if (colon) return readV6(text, end, out);
  if (end < text.length) return null;
  const word = readV4(text, 0, end);
  if (word < 0) return null;
  out[0] = 0;
  out[1] = 0;
  out[2] = 0;
  out[3] = word;
  return 4;
}

/** Dotted decimal in text[from, end), as an unsigned word; -1 when it is none. No leading zeros: some read them as octal. */
function readV4(text: string, from: number, end: number): number {
  let word = 0;
  let parts = 0;
  let at = from;
  while (at < end) {
    const first = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = text.charCodeAt(at) - CODE.zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > BYTE_MASK) return -1;
    }
    const digits = at - first;
    if (digits === 0 || (digits > 1 && text.charCodeAt(first) === CODE.zero)) return -1;
    word = word * 256 + value;
    parts++;
    if (at === end) break;
    if (parts === V4_BYTES || text.charCodeAt(at) !== CODE.dot) return -1;
    at++;
    if (at === end) return -1;
  }
  return parts === V4_BYTES ? word : -1;
}

function hexDigit(code: number): number {
  if (code >= CODE.zero && code <= CODE.nine) return code - CODE.zero;
  const lower = code | CODE.toLower;
  return lower >= CODE.lowerA && lower <= CODE.lowerF ? lower - CODE.lowerA + 10 : -1;
}

function setGroup(out: IpWords, index: number, value: number): void {
  const word = index >>> 1;
  const shift = index & 1 ? 0 : GROUP_BITS;
  out[word] = (out[word] ?? 0) | (value << shift);
}

function getGroup(words: IpWords, index: number): number {
  return ((words[index >>> 1] ?? 0) >>> (index & 1 ? 0 : GROUP_BITS)) & GROUP_MASK;
}

function readV6(text: string, end: number, out: IpWords): Family | null {
  out.fill(0);
  let count = 0;
  /** How many groups stand before `::`; -1 = no `::` so far. */
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === CODE.colon) {
    if (text.charCodeAt(1) !== CODE.colon) return null;
    gap = 0;
    at = 2;
  }
  while (at < end) {
    if (count === GROUPS) return null;
    const first = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
      if (value > GROUP_MASK) return null;
    }
    if (at < end && text.charCodeAt(at) === CODE.dot) {
      const word = readV4(text, first, end);
      if (word < 0 || count > GROUPS - 2) return null;
      setGroup(out, count++, word >>> GROUP_BITS);
      setGroup(out, count++, word & GROUP_MASK);
      at = end;
      break;
    }
    if (at === first || at - first > 4) return null;
    setGroup(out, count++, value);
    if (at === end) break;
    if (text.charCodeAt(at) !== CODE.colon) return null;
    at++;
    if (at === end) return null;
    if (text.charCodeAt(at) === CODE.colon) {
      if (gap >= 0) return null;
      gap = count;
      at++;
    }
  }
  if (gap < 0) {
    if (count !== GROUPS) return null;
  } else {
    if (count === GROUPS) return null;
    spread(out, count, gap);
  }
  return isMapped(out) ? unmap(out) : 6;
}

/** Moves the groups that followed `::` to the end. */
function spread(out: IpWords, count: number, gap: number): void {
  const tail = count - gap;
  for (let n = 1; n <= tail; n++) {
    const from = count - n;
    const value = getGroup(out, from);
    const word = from >>> 1;
    out[word] = (out[word] ?? 0) & (from & 1 ? ~GROUP_MASK : GROUP_MASK);
    setGroup(out, GROUPS - n, value);
  }
}

function isMapped(words: IpWords): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}

function unmap(words: IpWords): Family {
  words[2] = 0;
  return 4;
}

/** Canonical text: dotted decimal, or RFC 5952. */
export function writeIp(family: Family, words: IpWords): string {
  if (family === 4) return writeV4(words[3] ?? 0);
  const groups: number[] = [];
  for (let index = 0; index < GROUPS; index++) groups.push(getGroup(words, index));
  return new ipaddr.IPv6(groups).toRFC5952String();
}

export function writeV4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & BYTE_MASK}.${(word >>> 8) & BYTE_MASK}.${word & BYTE_MASK}`;
}

/** The bytes in network order: 4 or 16. */
export function ipToBytes(family: Family, words: IpWords): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? V4_BYTES : V6_BYTES);
  const view = new DataView(bytes.buffer);
  if (family === 4) view.setUint32(0, words[3] ?? 0);
  else for (let index = 0; index < WORDS; index++) view.setUint32(index * 4, words[index] ?? 0);
  return bytes;
}

/** The other way; null unless there are 4 or 16 bytes. 16 bytes that hold an IPv4-mapped address read as IPv4. */
export function ipFromBytes(bytes: Uint8Array, out: IpWords): Family | null {
  if (bytes.length !== V4_BYTES && bytes.length !== V6_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  out.fill(0);
  if (bytes.length === V4_BYTES) {
    out[3] = view.getUint32(0);
    return 4;
  }
  for (let index = 0; index < WORDS; index++) out[index] = view.getUint32(index * 4);
  return isMapped(out) ? unmap(out) : 6;
}
