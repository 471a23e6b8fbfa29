import type { Protocol } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";

/**
 * What a dial to a port looked like. open: connected (UDP: answered). ended: connected, and ended by the other side at
 * once. closed: refused, by a reset or an ICMP message. filtered: no answer to a SYN. silent: no answer to a datagram.
 * unreachable: somebody on the way said that there is no way. failed: it could not be tried.
 */
export const SAW = ["open", "ended", "closed", "filtered", "silent", "unreachable", "failed"] as const;
export type Saw = (typeof SAW)[number];

/** Of the way from a visitor to the service, from outside to inside; `dns`: of a site's name. `none`: nothing fails. */
export const HOPS = ["dns", "isp", "router", "relay", "policy", "agent", "host-firewall", "service", "none"] as const;
export type Hop = (typeof HOPS)[number];

/** The service, dialled from the end that it is behind. */
export interface ServiceSighting {
  /** `127.0.0.1:25565`. */
  readonly at: string;
  /** Null = this end cannot dial it. */
  readonly saw: Saw | null;
  /** It answers on a loopback address, and not on the one that visitors are led to. */
  readonly loopbackOnly: boolean;
}

/**
 * NAT verdict of the router's owner: whether a forward there can work at all. Null = not known.
 */
export type NatVerdict = "open-internet" | "double-nat" | "cgnat" | "blocked" | "ipv6-only";

/** What asking the router gave. */
export interface RouterEvidence {
  /** Whether it still has the mapping that was asked of it; null = it cannot tell, or none was asked. */
  readonly holds: boolean | null;
  readonly nat: NatVerdict | null;
}

interface Common {
  readonly protocol: Protocol;
  readonly port: number;
  /** `203.0.113.7:25565/tcp`, what a visitor types. */
  readonly what: string;
  readonly service: ServiceSighting;
  /** What the outside saw; null = nobody outside looked. */
  readonly vantage: Saw | null;
  /** An answer is to be expected of a service that works: false for UDP that may be silent by design. */
  readonly answers: boolean;
  /** Nothing had the service's port here, so this program stood in for it: whether a visitor came. Null = it did not stand in. */
  readonly stoodIn: boolean | null;
}

/** Why a forward is not open, as the end that holds it says. */
export type ForwardFact =
  | { readonly state: "open" | "waiting" | "disabled" | "unhealthy" | "away" | "none" }
  /** Listed, or known to the relay, and run by nobody here. */
  | { readonly state: "not-run" }
  | { readonly state: "refused"; readonly why: "policy" | "conflict" | "failed"; readonly message: string };

/** A forward whose entry is on a relay. The visitor of the check is one of our own ends. */
export interface ForwardEvidence extends Common {
  readonly kind: "forward";
  /** Who looks: the agent that serves it, or the relay it is on. */
  readonly side: "agent" | "relay";
  readonly name: string;
  /** Null = it is up. Else why the agent is not connected, one sentence, and whether the relay turned it away. */
  readonly linkDown: { readonly message: string; readonly rejected: boolean } | null;
  readonly forward: ForwardFact;
  /** The relay's word on its entry; null = it was not asked. */
  readonly entry: ForwardFact | null;
  /** Whether the forward's source lists let this visitor in; null = not known. */
  readonly allowsVisitor: boolean | null;
  /** The visitor's address as the relay sees it. */
  readonly visitor: string | null;
  /** Why the relay or the agent turned somebody away during the check. */
  readonly refusals: readonly ReasonName[];
  /** The visitor came through to the forward's end; null = not known. */
  readonly reached: boolean | null;
}

/** A port at this machine's own public address: a router, or nothing, is in between. */
export interface AddressEvidence extends Common {
  readonly kind: "address";
  /** Why nobody outside looked, one sentence; null = somebody did. */
  readonly unseen: string | null;
  /** Its packet came to this machine, before any firewall here; null = this process cannot see that. */
  readonly arrived: boolean | null;
  /** The public address is not this machine's own; null = not known. */
  readonly behindNat: boolean | null;
  readonly router: RouterEvidence | null;
  /** A mapping of this gateway, a forward whose entry is on this machine or on its router; null = it is nobody's port. */
  readonly forward: {
    readonly name: string;
    readonly by: "gateway" | "agent" | "router";
    readonly fact: ForwardFact;
  } | null;
}

export type Evidence = ForwardEvidence | AddressEvidence;

/** dead-service: the way is open, and nothing answers behind it. */
export const PORT_STATES = ["open", "closed", "filtered", "dead-service", "unknown"] as const;
export type PortState = (typeof PORT_STATES)[number];

export interface Verdict {
  /** The rule that applied, by its name in the table. */
  readonly rule: string;
  readonly state: PortState;
  readonly hop: Hop;
  /** False: the likeliest of several hops. */
  readonly sure: boolean;
  /** What is, in one sentence. */
  readonly sentence: string;
  /** What to do, one sentence; null = nothing. */
  readonly remedy: string | null;
}

export interface HopLine {
  readonly hop: Hop;
  readonly mark: "ok" | "bad" | "unknown";
  readonly text: string;
}
