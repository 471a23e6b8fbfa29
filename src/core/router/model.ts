import type { Protocol } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";

/**
 * What a router can be asked in, the best first: PCP (RFC 6887), NAT-PMP (RFC 6886), UPnP-IGD 2 and 1. The ladder tries
 * them in this order.
 */
export const ROUTER_PROTOCOLS = ["pcp", "nat-pmp", "igd2", "igd1"] as const;
export type RouterProtocol = (typeof ROUTER_PROTOCOLS)[number];

/** A router of this machine, as its routes name it: where to ask, and from where. */
export interface Gateway {
  readonly family: 4 | 6;
  /** The router's address; a link-local IPv6 address goes without its zone. */
  readonly address: string;
  readonly interfaceName: string;
  /** This machine's address on that interface: what the router forwards to. For IPv6 a global address if there is one. */
  readonly ownAddress: string;
  /** Of the route; the lowest is used. */
  readonly metric: number;
}

/** One external port to one internal port. An IPv6 internal address asks for a pinhole: the ports are the same there. */
export interface MappingWish {
  readonly protocol: Protocol;
  readonly internalAddress: string;
  readonly internalPort: number;
  /** 0 = whichever the router likes. */
  readonly externalPort: number;
  /** True: that external port or none. */
  readonly exact: boolean;
  /** Null = for good, as far as the router has that; else the most that is asked for. */
  readonly lifetimeSec: number | null;
  /** What the router's own list shows. */
  readonly description: string;
}

export interface Grant {
  /** Null: the protocol's answer does not say, or the router said 0.0.0.0. */
  readonly externalAddress: string | null;
  readonly externalPort: number;
  /** From the answer on; null = permanent. */
  readonly lifetimeSec: number | null;
  /** What the protocol needs to renew and to delete: PCP's nonce, a pinhole's UniqueID; else "". Opaque. */
  readonly ticket: string;
}

/**
 * silent: no answer in time. closed: nothing listens there. unsupported: it speaks, but not this. conflict: the port is
 * another's. refused: its rules say no. exhausted: no room for more. no-uplink: it has no address outside. garbled: the
 * answer makes no sense.
 */
export type RouterFailureKind =
  | "silent"
  | "closed"
  | "unsupported"
  | "conflict"
  | "refused"
  | "exhausted"
  | "no-uplink"
  | "garbled";

export interface RouterFailure {
  readonly kind: RouterFailureKind;
  /** The protocol's own number; null = it gave none. */
  readonly code: number | null;
  /** One sentence for a person. */
  readonly message: string;
  /** The router asked not to be asked the same again before; absent = it did not say (PCP alone does). */
  readonly retryAfterSec?: number;
}

/** What a router says of itself; null = it does not say. */
export interface RouterIdentity {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly name: string | null;
  /** The router's own web page, an http URL at its address. */
  readonly page: string | null;
}

/** A row of the router's own list (UPnP-IGD alone has one). */
export interface ListedMapping {
  readonly protocol: Protocol;
  readonly externalPort: number;
  readonly internalAddress: string;
  readonly internalPort: number;
  readonly enabled: boolean;
  readonly description: string;
  /** Null = permanent. */
  readonly remainingSec: number | null;
}

/** One protocol of one router that has answered. Every call ends by itself, in a few seconds at most. */
export interface Mapper {
  readonly protocol: RouterProtocol;
  readonly gateway: Gateway;
  readonly identity: RouterIdentity;
  /** Makes the mapping, or renews `held`. */
  map(wish: MappingWish, held: Grant | null, signal: AbortSignal): Promise<Result<Grant, RouterFailure>>;
  /** Deleting what is not there is done. */
  unmap(wish: MappingWish, held: Grant, signal: AbortSignal): Promise<Result<null, RouterFailure>>;
  /** Whether the router still has it, without renewing it; null = the protocol cannot tell. */
  holds(wish: MappingWish, held: Grant, signal: AbortSignal): Promise<Result<boolean | null, RouterFailure>>;
  /** The router's IPv4 address outside; null = the protocol cannot tell, or it said 0.0.0.0. */
  externalAddress(signal: AbortSignal): Promise<Result<string | null, RouterFailure>>;
  /** Null = the protocol has no list. */
  list(signal: AbortSignal): Promise<Result<readonly ListedMapping[], RouterFailure>> | null;
  /** Seconds since it lost its mappings last, as it says; null = it does not say. */
  uptimeSec(signal: AbortSignal): Promise<Result<number | null, RouterFailure>>;
  /** Calls `forgot` when an answer or an announcement shows that the router lost its state; returns how to stop that. */
  onForgot(forgot: () => void): () => void;
  close(): void;
}
