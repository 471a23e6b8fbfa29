import type { Gateway } from "./model.ts";
import {
  type NetworkFacts,
  opensPorts,
  publicIpv4Here,
  rangeOf,
  routerAddress,
  seenOutside,
  type VerdictCause,
} from "./verdict-facts.ts";
import { adviceFor, evidenceFor } from "./verdict-words.ts";

export type VerdictKind =
  /** A port that the router opens is reached from the internet. */
  | "open-internet"
  /** Another router of one's own is above. */
  | "double-nat"
  /** The provider translates: no port of the router is reached. */
  | "cgnat"
  /** The way may be open, but the router opens no ports by itself. */
  | "blocked"
  | "ipv6-only"
  | "no-network"
  /** This machine itself has a public address. */
  | "public-here"
  /** The default route is a tunnel. */
  | "vpn";

export interface Verdict {
  readonly kind: VerdictKind;
  readonly cause: VerdictCause;
  /** False: the facts allow another reading, and `evidence` or `advice` says which. */
  readonly sure: boolean;
  /** Each fact that was used, in a sentence. */
  readonly evidence: readonly string[];
  /** What to do, in sentences, the best first. */
  readonly advice: readonly string[];
}

const KINDS: Readonly<Record<VerdictCause, { readonly kind: VerdictKind; readonly sure: boolean }>> = {
  "own-public": { kind: "public-here", sure: true },
  tunnel: { kind: "vpn", sure: true },
  "no-router": { kind: "no-network", sure: true },
  "no-ipv4": { kind: "ipv6-only", sure: true },
  "line-down": { kind: "no-network", sure: true },
  "shared-outside": { kind: "cgnat", sure: true },
  "shared-inside": { kind: "cgnat", sure: true },
  "translated-ipv4": { kind: "cgnat", sure: true },
  // miniupnpd says so of every private address, an own router's too.
  outless: { kind: "cgnat", sure: false },
  "not-internet": { kind: "cgnat", sure: false },
  // Two lines, or a VPN on the router, look the same.
  "seen-otherwise": { kind: "cgnat", sure: false },
  "home-range-outside": { kind: "double-nat", sure: true },
  // Providers translate from 10.0.0.0/8 and 172.16.0.0/12 too.
  "private-outside": { kind: "double-nat", sure: false },
  "no-protocol": { kind: "blocked", sure: true },
  "seen-same": { kind: "open-internet", sure: true },
  unconfirmed: { kind: "open-internet", sure: false },
  untold: { kind: "open-internet", sure: false },
};

/** What is between this machine and the internet, and what to do. */
export function judge(facts: NetworkFacts): Verdict {
  const cause = causeOf(facts);
  return { ...KINDS[cause], cause, evidence: evidenceFor(facts, cause), advice: adviceFor(facts, cause) };
}

function causeOf(facts: NetworkFacts): VerdictCause {
  const { gateways, tunnels } = facts;
  if (publicIpv4Here(facts) !== null) return "own-public";
  if (tunnels.v4 !== null || (gateways.v4 === null && tunnels.v6 !== null)) return "tunnel";
  if (gateways.v4 !== null) return causeAt(gateways.v4, facts);
  if (gateways.v6 !== null) return "no-ipv4";
  return seenOutside(facts.seen.v4) === null ? "no-router" : "no-protocol";
}

/** At an IPv4 router. */
function causeAt(gateway: Gateway, facts: NetworkFacts): VerdictCause {
  const seen = seenOutside(facts.seen.v4);
  const address = routerAddress(facts);
  if (address !== null) {
    const cause = causeOutside(address, seen);
    return isOpen(cause) && !opensPorts(facts, 4) ? "no-protocol" : cause;
  }
  if ([gateway.address, gateway.ownAddress].some((one) => rangeOf(one) === "shared")) return "shared-inside";
  if (seen !== null && rangeOf(gateway.ownAddress) === "public") return "seen-otherwise";
  const isOutless = facts.protocols.some(({ family, failure }) => family === 4 && failure?.kind === "no-uplink");
  // Seen from outside all the same: something above translates (CGNAT, DS-Lite, MAP, 464XLAT, another router).
  if (isOutless) return seen === null ? "line-down" : "outless";
  return opensPorts(facts, 4) ? "untold" : "no-protocol";
}

function isOpen(cause: VerdictCause): boolean {
  return KINDS[cause].kind === "open-internet";
}

/** From what the router says is its address outside, and what the outside says. */
function causeOutside(address: string, seen: string | null): VerdictCause {
  // Whatever the address is: nothing translates between the router and who saw it.
  if (address === seen) return "seen-same";
  const range = rangeOf(address);
  switch (range) {
    case "shared":
      return "shared-outside";
    case "home":
      return "home-range-outside";
    case "private":
      return "private-outside";
    case "ds-lite":
      return "translated-ipv4";
    case "unusable":
      return "line-down";
    case "reserved":
      return "not-internet";
    case "public":
      return seen === null ? "unconfirmed" : "seen-otherwise";
    default:
      return range satisfies never;
  }
}
