import { type Family, type IpWords, newIpWords, readIp } from "./ip-words.ts";

/**
 * What kind of place an address is: the base of the SSRF defence. Everything but `public` asks for a decision.
 * `private` includes shared address space (RFC 6598) and unique local addresses (RFC 4193); `reserved` is what the
 * IANA special-purpose registries (RFC 6890) do not call globally reachable, and any text that is not an address.
 */
export type AddressClass =
  | "public"
  | "loopback"
  | "link-local"
  | "private"
  | "metadata"
  | "unspecified"
  | "multicast"
  | "reserved";

interface V4Block {
  readonly base: number;
  readonly prefix: number;
  readonly class: AddressClass;
}

function v4(a: number, b: number, c: number, d: number, prefix: number, name: AddressClass): V4Block {
  return { base: ((a << 24) | (b << 16) | (c << 8) | d) >>> 0, prefix, class: name };
}

/** First match wins: single addresses before the networks that hold them. */
const V4_BLOCKS: readonly V4Block[] = [
  v4(169, 254, 169, 254, 32, "metadata"), // AWS, GCP, Azure, OpenStack and others
  v4(100, 100, 100, 200, 32, "metadata"), // Alibaba Cloud
  v4(0, 0, 0, 0, 32, "unspecified"),
  v4(0, 0, 0, 0, 8, "reserved"), // RFC 791 "this network"
  v4(10, 0, 0, 0, 8, "private"),
  v4(100, 64, 0, 0, 10, "private"), // RFC 6598
  v4(127, 0, 0, 0, 8, "loopback"),
  v4(169, 254, 0, 0, 16, "link-local"),
  v4(172, 16, 0, 0, 12, "private"),
  v4(192, 0, 0, 0, 24, "reserved"), // RFC 6890 protocol assignments
  v4(192, 0, 2, 0, 24, "reserved"), // RFC 5737 documentation
  v4(192, 88, 99, 0, 24, "reserved"), // RFC 7526, was 6to4 anycast
  v4(192, 168, 0, 0, 16, "private"),
  v4(198, 18, 0, 0, 15, "reserved"), // RFC 2544 benchmarks
  v4(198, 51, 100, 0, 24, "reserved"),
  v4(203, 0, 113, 0, 24, "reserved"),
  v4(224, 0, 0, 0, 4, "multicast"),
  v4(240, 0, 0, 0, 4, "reserved"),
];

function classifyV4(word: number): AddressClass {
  for (const block of V4_BLOCKS) {
    const mask = block.prefix === 32 ? 0xffffffff : ~(0xffffffff >>> block.prefix);
    if ((word & mask) >>> 0 === block.base) return block.class;
  }
  return "public";
}

/** First words of the IPv6 networks that matter (RFC 4291, IANA's special-purpose registry). */
const V6 = {
  nat64: 0x0064ff9b, // 64:ff9b::/96, RFC 6052; the rest of 64:ff9b::/32 is RFC 8215's local prefix
  siit: 0xffff0000, // third word of ::ffff:0:a.b.c.d, RFC 2765
  awsMetadata: [0xfd000ec2, 0, 0, 0x00000254],
  ietf: 0x2001, // first half-word of 2001:0::/23: Teredo, ORCHID and others
  documentation: 0x20010db8,
  documentation2: 0x3fff, // 3fff::/20, RFC 9637
  sixToFour: 0x2002, // RFC 3056
} as const;

function classifyV6(words: IpWords): AddressClass {
  const [a = 0, b = 0, c = 0, d = 0] = words;
  if (a === 0 && b === 0) {
    if (c === 0 && d === 0) return "unspecified";
    if (c === 0 && d === 1) return "loopback";
    return c === V6.siit ? classifyV4(d) : "reserved";
  }
  if (a === V6.nat64 && b === 0 && c === 0) return classifyV4(d);
  const top = a >>> 16;
  if (top === V6.sixToFour) return classifyV4(((a << 16) | (b >>> 16)) >>> 0);
  if (V6.awsMetadata.every((word, index) => words[index] === word)) return "metadata";
  if (top >>> 9 === 0xfc >>> 1) return "private"; // fc00::/7
  if (top >>> 6 === 0xfe80 >>> 6) return "link-local"; // fe80::/10
  if (top >>> 6 === 0xfec0 >>> 6) return "private"; // fec0::/10, the old site-local (RFC 3879)
  if (top >>> 8 === 0xff) return "multicast";
  if (top >>> 13 !== 1) return "reserved"; // only 2000::/3 is handed out
  if (a === V6.documentation) return "reserved";
  if (top === V6.documentation2 && (a & 0xf000) === 0) return "reserved";
  if (top === V6.ietf && (a & 0xfe00) === 0) return "reserved"; // 2001::/23
  return "public";
}

/**
 * Forms that carry an IPv4 address (IPv4-mapped, NAT64, SIIT, 6to4) classify as that address: a translator would
 * deliver them there. A text that is not an address is `reserved`.
 */
export function classifyAddress(address: string): AddressClass {
  const words = newIpWords();
  const family: Family | null = readIp(address, words);
  if (family === null) return "reserved";
  return family === 4 ? classifyV4(words[3] ?? 0) : classifyV6(words);
}
