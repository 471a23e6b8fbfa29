import type { VerdictKind } from "../router/verdict.ts";
import { failure, fine, type Judgement, warning } from "./model.ts";

export interface RouterFacts {
  readonly kind: VerdictKind;
  readonly sure: boolean;
  /** The facts behind the verdict, and what to do, the best first. */
  readonly advice: readonly string[];
  /** Ports of the router are wanted here: what cannot work is a failure, and else only good to know. */
  readonly isNeeded: boolean;
}

const SENTENCES: Readonly<Record<VerdictKind, string>> = {
  "open-internet": "Ports that this machine's router opens can be reached from the internet.",
  "public-here": "This machine has a public address of its own: no router needs to be asked.",
  "double-nat": "Another router stands above this one, so a port opened here alone is not reached.",
  cgnat: "The provider shares its addresses (CGNAT), so no port opened on the router is reached.",
  blocked: "The router opens no ports by itself: it speaks neither PCP, NAT-PMP nor UPnP.",
  "ipv6-only": "There is no IPv4 router, so visitors can come in by IPv6 alone.",
  "no-network": "This machine has no router and no public address.",
  vpn: "Everything leaves through a tunnel, on which no router can be asked.",
};

export function judgeRouter({ kind, sure, advice, isNeeded }: RouterFacts): Judgement {
  const sentence = `${sure ? "" : "Most likely: "}${SENTENCES[kind]}`;
  if (kind === "open-internet" || kind === "public-here") return fine(sentence);
  const remedy = advice[0] ?? "`hatchway router` says what it asked and heard.";
  if (!isNeeded) return fine(sentence, remedy);
  return sure ? failure(sentence, remedy) : warning(sentence, remedy);
}

export interface MappingFacts {
  /** Names of the mappings that are held, and of those that the router was to have and does not list. */
  readonly held: number;
  readonly missing: readonly string[];
}

export function judgeMappings({ held, missing }: MappingFacts): Judgement {
  const [first] = missing;
  if (first !== undefined) {
    const more = missing.length === 1 ? "" : ` and ${missing.length - 1} more`;
    return warning(
      `The router's list does not have "${first}"${more}, which it was asked for.`,
      "It is asked again by itself within minutes; if this stays, restart the router or the agent.",
    );
  }
  return fine(`The router holds ${held === 1 ? "1 mapping" : `${held} mappings`} for this machine.`);
}
