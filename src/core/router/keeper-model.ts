import type { Grant, RouterFailure, RouterProtocol } from "./model.ts";
import type { PortWish } from "./wish.ts";

/** A grant, with what it takes to renew or delete it. */
export interface HeldGrant {
  readonly grant: Grant;
  readonly via: RouterProtocol;
  /** What the router forwards to: it was this machine's address then. */
  readonly internalAddress: string;
}

/** A mapping that is open, for people. Times are those of the clock that is passed in. */
export interface OpenMapping {
  /** Null: no protocol of the router tells. */
  readonly externalAddress: string | null;
  readonly externalPort: number;
  readonly internalAddress: string;
  readonly via: RouterProtocol;
  /** Open without a break since. */
  readonly sinceMs: number;
  /** Null = permanent. */
  readonly endsMs: number | null;
}

/** `atMs`: when it is asked for again; null = it is being asked for. */
export type KeptState =
  /** For the first time, and nothing is in the way yet. */
  | { readonly kind: "asking" }
  /** `renewAtMs` null: it is being renewed, or needs no renewal. `why`: what the last renewal met; null = nothing. */
  | {
      readonly kind: "held";
      readonly mapping: OpenMapping;
      readonly renewAtMs: number | null;
      readonly why: RouterFailure | null;
    }
  /** It was never open, for a reason that may pass by itself. */
  | { readonly kind: "retrying"; readonly why: RouterFailure; readonly atMs: number | null }
  /** It was open. */
  | { readonly kind: "lost"; readonly why: RouterFailure; readonly atMs: number | null }
  /** The router says no: asked for slowly, since rules change and another's lease may end. */
  | { readonly kind: "refused"; readonly why: RouterFailure; readonly atMs: number | null }
  | { readonly kind: "leaving" }
  | { readonly kind: "gone" };

/** What the world hears of one mapping. Each `reason` is a sentence. */
export type KeeperNews =
  | { readonly kind: "opened"; readonly mapping: OpenMapping }
  /** Visitors must come to another address or port than `before`. */
  | { readonly kind: "changed"; readonly mapping: OpenMapping; readonly before: OpenMapping }
  | { readonly kind: "renewed"; readonly mapping: OpenMapping }
  /** Not open any more; it goes on being asked for. */
  | { readonly kind: "lost"; readonly reason: string; readonly why: RouterFailure; readonly was: OpenMapping }
  /** The router says no. Once, until the kind of no changes. */
  | { readonly kind: "refused"; readonly reason: string; readonly why: RouterFailure }
  /** Asking or renewing fails for a reason that may pass. Once, until the kind changes. `open`: what it has until then. */
  | {
      readonly kind: "failing";
      readonly reason: string;
      readonly why: RouterFailure;
      readonly open: OpenMapping | null;
    }
  /** The last. `left`: what may still be at the router, as a sentence; null = nothing. */
  | { readonly kind: "closed"; readonly left: string | null };

/** How the network changed under a mapping. */
export type NetworkChange =
  /** It may have, and the router and this machine's address are the same. */
  | "same"
  /** The same router knows this machine by another address now: its mapping leads nowhere. */
  | "moved"
  /** Another router, or none. What the one before holds is out of reach. */
  | "elsewhere";

export type KeeperEvent =
  /** Answers: each action but `tell` has one. */
  | { readonly kind: "granted"; readonly held: HeldGrant }
  | { readonly kind: "failed"; readonly failure: RouterFailure }
  /** `holds` null: the protocol cannot tell. */
  | { readonly kind: "checked"; readonly holds: boolean | null }
  | { readonly kind: "check-failed"; readonly failure: RouterFailure }
  | { readonly kind: "unmapped"; readonly failure: RouterFailure | null }
  /** The router lost its mappings. */
  | { readonly kind: "forgot" }
  | { readonly kind: "network-changed"; readonly change: NetworkChange }
  /** The machine slept: its clock stood still for so long, and the router's did not. */
  | { readonly kind: "resumed"; readonly sleptMs: number }
  /** The router answers again. */
  | { readonly kind: "router-back" }
  /** Another mapping of the router was found missing. */
  | { readonly kind: "sibling-lost" }
  /** The router gave its external port to another mapping of ours: so it had lost this one. */
  | { readonly kind: "taken-over" }
  /** The router's address outside, as it says now. */
  | { readonly kind: "address-seen"; readonly address: string }
  | { readonly kind: "leave" };

export type KeeperAction =
  /** `held`: what is renewed; null = a new mapping, by whichever protocol does it. */
  | { readonly kind: "ask"; readonly externalPort: number; readonly held: HeldGrant | null }
  /** Whether the router still has it. */
  | { readonly kind: "check"; readonly held: HeldGrant }
  | { readonly kind: "unmap"; readonly held: HeldGrant }
  | { readonly kind: "tell"; readonly news: KeeperNews };

export interface KeeperOptions {
  /** 0..1, evenly. */
  random(): number;
  /** Mappings that are kept at the same router, this one included: what is shared out among them. */
  crowd(): number;
  /** Whether no other mapping of ours has or wants that external port. */
  isFree(port: number): boolean;
}

/** A wish and what became of it. */
export interface KeptPort {
  readonly wish: PortWish;
  readonly state: KeptState;
}
