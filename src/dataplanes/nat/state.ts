import type { RemotePeer } from "../../core/mapping/desk.ts";
import type { PortSpan, PortSpans } from "../../core/port-spans.ts";
import type { Cidr } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";

/** The part of the desired state that decides the rules themselves. It changes with the configuration, not with mappings. */
export interface NatSettings {
  /** Interfaces that visitors come in by, and that clients go out by. At least one. */
  readonly wan: readonly string[];
  /** Interfaces of clients, the VPN's not among them. */
  readonly lan: readonly string[];
  readonly vpn: { readonly interface: string; readonly listenPort: number } | null;
  /** The IPv4 addresses of the WAN interfaces: what clients inside type to reach a forward (hairpin). */
  readonly externalAddresses: readonly string[];
  /** Ports of this gateway's own servers for clients (SSDP, 5351, IGD's HTTP): dropped when they come from outside. */
  readonly insideOnly: Readonly<Record<Protocol, readonly number[]>>;
  /** Clients' IPv4 goes out by the WAN address. Off when something else on this machine does it. */
  readonly masquerade: boolean;
  /** Source ports of what goes out masqueraded: disjoint from every forwarded and listening port (port shadow, CVE-2021-3773). */
  readonly snatPorts: PortSpan;
  /** Inside hosts are reached from outside by forwards only. */
  readonly dropUnforwarded: boolean;
  /** Peers of the VPN reach each other, and the LAN. The LAN reaches them in any case, and so do forwards. */
  readonly vpnClientsMayMeet: boolean;
  /** For every forward: who may come at all. Deny wins; empty allow = everybody. */
  readonly sources: { readonly allow: readonly Cidr[]; readonly deny: readonly Cidr[] };
  /** For one source address and one forwarded port, where the forward says nothing else. Null = no limit. */
  readonly limits: NatLimits;
  readonly triggers: readonly TriggerRule[];
}

/**
 * Against one source that asks for too much, a SYN flood of its own address included. Not against a flood with forged
 * sources: each of those is a source of its own, and conntrack's table is what it fills.
 */
export interface NatLimits {
  /** Connections and flows open at once from one source (IPv6: its /64). */
  readonly connectionsPerSource: number | null;
  /** New ones a second from one source; bursts of twice that. */
  readonly newPerSourcePerSec: number | null;
}

/** External ports that the kernel leads to a client. No two forwards of a protocol have a port in common: the second is refused. */
export interface NatForward {
  readonly kind: "forward";
  /** Unique among all entries. */
  readonly id: string;
  readonly protocol: Protocol;
  /** External ports, both ends inclusive. */
  readonly first: number;
  readonly last: number;
  /** The client: an IPv4 address. */
  readonly to: string;
  readonly internalFirst: number;
  /** Who may come in; empty = everybody. Deny wins. */
  readonly allow: readonly RemotePeer[];
  readonly deny: readonly Cidr[];
  /** Null = as NatSettings says. */
  readonly limits: NatLimits | null;
}

/**
 * Ports of an IPv6 host that may be reached from outside. Nothing is translated. No two pinholes of a host and protocol
 * have a port in common: who asks for two with different sources merges them into one.
 */
export interface NatPinhole {
  readonly kind: "pinhole";
  readonly id: string;
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
  /** An IPv6 address. */
  readonly to: string;
  readonly allow: readonly RemotePeer[];
  readonly deny: readonly Cidr[];
  readonly limits: NatLimits | null;
}

export type NatEntry = NatForward | NatPinhole;

/**
 * An outgoing packet to one of the `out` ports opens the `in` ports to the host that sent it, untranslated, IPv4, until
 * nothing has passed for `timeoutSec`. What `sources` and `limits` of the settings say of forwards holds here, too. A
 * port that a forward or this gateway's own servers have stays theirs.
 */
export interface TriggerRule {
  readonly name: string;
  readonly out: Readonly<Record<Protocol, PortSpans>>;
  readonly in: Readonly<Record<Protocol, PortSpans>>;
  readonly timeoutSec: number;
  /** A second host: refused while it is open to the first, or it takes over. */
  readonly secondHost: "refused" | "takesOver";
}

export interface OpenTrigger {
  readonly name: string;
  readonly host: string;
  /** Seconds until it closes when nothing more passes. */
  readonly remainingSec: number;
}

/** Added in one transaction; an entry with a known id replaces it. */
export interface NatChange {
  readonly put: readonly NatEntry[];
  /** Ids. */
  readonly remove: readonly string[];
}

/** Of what was let in. It begins at 0 when the entry's ports or client change, and when the table had to be made anew. */
export interface NatUsage {
  /** Connections and flows since the entry was put. */
  readonly visitorsTotal: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

/** Why packets from outside were dropped, and those from inside to a forward. */
export const DROP_REASONS = [
  "unforwarded",
  "sourceNotAllowed",
  "connectionLimit",
  "rateLimit",
  "insideOnly",
  "tunnelEndpoint",
  "triggerClosed",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface NatError {
  /** `missing`: a program; `permission`: no CAP_NET_ADMIN; `unsupported`: the kernel lacks it; `refused`: all else. */
  readonly kind: "missing" | "permission" | "unsupported" | "refused";
  /** One sentence that says what to do. */
  readonly message: string;
}

/**
 * The kernel's part of the forwards. Desired state in; what resolves `ok` is in the kernel. Changes that come together
 * share a transaction. Nothing that is not ours is touched.
 */
export interface NatPlane {
  /** Makes the kernel hold exactly this. Connections of entries that stay are not cut. */
  replace(settings: NatSettings, entries: readonly NatEntry[]): Promise<Result<null, NatError>>;
  /** After `replace`. */
  change(change: NatChange): Promise<Result<null, NatError>>;
  /** By id of the entry. */
  usage(): Promise<ReadonlyMap<string, NatUsage>>;
  drops(): Promise<Readonly<Record<DropReason, number>>>;
  /** Triggers that are open now. */
  openTriggers(): Promise<readonly OpenTrigger[]>;
  /** `clean`: the kernel is as it was before. Else it goes on forwarding, for a start that follows. */
  close(options: { readonly clean: boolean }): Promise<void>;
}

/** A TCP connection that somebody ended. */
export interface EndedConnection {
  readonly visitor: Endpoint;
  /** What the visitor wrote to. */
  readonly entry: Endpoint;
}

/** The plane as the process has it that holds the kernel. */
export interface HeldNatPlane extends NatPlane {
  /** What the kernel is to hold, by id. */
  readonly entries: ReadonlyMap<string, NatEntry>;
  /**
   * What still comes of that connection begins no new one, for some hours: the kernel takes up a connection in its middle
   * (nf_conntrack_tcp_loose), and a forward would lead it on. A new connection from the same port is another.
   */
  shut(connection: EndedConnection): Promise<Result<null, NatError>>;
}
