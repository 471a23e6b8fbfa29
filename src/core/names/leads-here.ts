import { classifyAddress, isIpv6, parseAddress } from "../../wire/address.ts";
import { isWildcard } from "../../wire/site-name.ts";

/** What looking a site's name up gave. */
export interface NameSighting {
  /** The name, or a wildcard. */
  readonly host: string;
  /** What it leads to, as the relay's own machine is told. IP literals in canonical form; empty = nothing. */
  readonly addresses: readonly string[];
  /** What visitors type to reach the relay: a name or an IP literal. */
  readonly publicHost: string;
  /** Where the relay can be reached: what `publicHost` leads to, and its machine's addresses. */
  readonly own: readonly string[];
}

export interface DnsRecord {
  readonly name: string;
  readonly type: "A" | "AAAA" | "CNAME";
  readonly value: string;
}

export interface NameVerdict {
  /** partly: some of its addresses are others'. nowhere: it has none. unknown: the relay does not know its own address. */
  readonly leads: "here" | "partly" | "elsewhere" | "nowhere" | "unknown";
  /** One sentence. */
  readonly sentence: string;
  /** What to do, one sentence; null = nothing. */
  readonly remedy: string | null;
  /** What the name's zone is to have; empty = nothing is to be done, or it is not known. */
  readonly records: readonly DnsRecord[];
}

const WILDCARD = "*.";
/** A name that a wildcard covers, and that nobody else has: RFC 4592 answers it like any. */
const SAMPLE_LABEL = "hatchway-check";
const MAX_LISTED = 3;

/** The name to look up for it. */
export function lookedUp(host: string): string {
  return isWildcard(host) ? `${SAMPLE_LABEL}.${host.slice(WILDCARD.length)}` : host;
}

/** Whether visitors of a name come to the relay. */
export function judgeName(sighting: NameSighting): NameVerdict {
  const { host, addresses, publicHost, own } = sighting;
  const here = addresses.filter((address) => own.includes(address));
  const others = addresses.filter((address) => !own.includes(address));
  const records = recordsFor(sighting);
  const make = remedyOf(records);
  if (addresses.length === 0) {
    return {
      leads: "nowhere",
      sentence: `${host} leads nowhere yet: it has no address in DNS.`,
      remedy: make,
      records,
    };
  }
  if (others.length === 0)
    return { leads: "here", sentence: `${host} leads to this relay.`, remedy: null, records: [] };
  if (here.length > 0) {
    const sentence = `${host} leads to this relay, and to ${listed(others)} as well: some visitors do not come here.`;
    return { leads: "partly", sentence, remedy: `Take the records of ${listed(others)} out of its DNS.`, records: [] };
  }
  if (own.every(isInside) && !others.every(isInside)) {
    return {
      leads: "unknown",
      sentence: `${host} leads to ${listed(others)}; whether that is this relay is not known here.`,
      remedy: "Set [relay] public in hatchway.toml to the relay's public name or address.",
      records: [],
    };
  }
  return {
    leads: "elsewhere",
    sentence: `${host} leads to ${listed(others)}, and not to this relay (${publicHost}).`,
    remedy: `${make ?? ""} If a proxy at that address hands visitors on to here, all is well.`.trim(),
    records,
  };
}

/** An alias of the relay's name, which lasts; else the address that it goes by, or those of its machine that others reach. */
function recordsFor({ host, publicHost, own }: NameSighting): DnsRecord[] {
  if (!parseAddress(publicHost).ok) return [{ name: host, type: "CNAME", value: publicHost }];
  const outside = isInside(publicHost) ? own.filter((address) => !isInside(address)) : [];
  const values = outside.length > 0 ? outside : [publicHost];
  return values.map((value) => ({ name: host, type: isIpv6(value) ? "AAAA" : "A", value }));
}

function remedyOf(records: readonly DnsRecord[]): string | null {
  const [first] = records;
  if (first === undefined) return null;
  if (first.type === "CNAME") {
    return `Where its DNS is kept, make a CNAME record to ${first.value}, or records A and AAAA with that name's addresses.`;
  }
  return `Where its DNS is kept, make ${records.map(({ type, value }) => `a record ${type} ${value}`).join(" and ")}.`;
}

/** No address that strangers can reach. */
function isInside(address: string): boolean {
  return ["private", "loopback", "link-local", "unspecified"].includes(classifyAddress(address));
}

function listed(addresses: readonly string[]): string {
  const more = addresses.length - MAX_LISTED;
  return `${addresses.slice(0, MAX_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
