import type { Hop, PortState } from "./check/evidence.ts";
import type { Verdict } from "./router/verdict.ts";
import { verdictSentence } from "./router/verdict-titles.ts";

/** How visitors come to a port of this machine: by the router above it, by the gateway of a VPN, or by the relay. */
export type Way = "router" | "vpn" | "relay";

/** What is worth a try before the relay; `relay`: nothing is, and why. */
export type FirstWay = { readonly way: "router" | "vpn" } | { readonly way: "relay"; readonly why: string };

/**
 * Which way to try first, by what is between this machine and the internet. A router that is certainly of no use is not
 * asked to open anything; where the facts leave it open, a check of the port decides.
 */
export function firstWay(verdict: Pick<Verdict, "kind" | "sure">): FirstWay {
  const { kind, sure } = verdict;
  switch (kind) {
    case "open-internet":
    case "ipv6-only":
      return { way: "router" };
    case "double-nat":
    case "cgnat":
      return sure ? { way: "relay", why: verdictSentence(verdict) } : { way: "router" };
    case "vpn":
      return { way: "vpn" };
    case "blocked":
    case "no-network":
    // Whether its own firewall lets visitors in is its owner's business; through the relay they come in all the same.
    case "public-here":
      return { way: "relay", why: verdictSentence(verdict) };
    default:
      return kind satisfies never;
  }
}

/** What a check of a port that was opened said (core/check/address-rules.ts). */
export interface Checked {
  readonly state: PortState;
  readonly hop: Hop;
  readonly rule: string;
}

/** Rules by which the way is open to its end, and only the service is missing: it may start later. */
export const OPEN_TO_ITS_END: readonly string[] = ["nothing listens; the way is open", "service down"];

/** Whether visitors are proven to come to this machine. `open` at the hop `router` is somebody else's port. */
export function isProven({ state, hop, rule }: Checked): boolean {
  return (state === "open" && hop === "none") || OPEN_TO_ITS_END.includes(rule);
}
