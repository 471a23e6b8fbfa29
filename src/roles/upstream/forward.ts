import type { UpstreamSpec } from "../../core/forward.ts";
import type { Endpoint, RefusalKind, RouterName } from "../control.ts";

/** Stands for the address of a router that does not tell it, in the endpoints of what it forwards. */
export const UNTOLD_HOST = "router";

/**
 * asking: nothing is known yet. refused: it was never open; the reason stands in `message`. lost: it was. Both are asked
 * for again by themselves, ever more rarely.
 */
export type UpstreamState =
  | { readonly kind: "asking" }
  | {
      readonly kind: "open";
      readonly endpoints: readonly Endpoint[];
      readonly router: RouterName;
      /** The earliest end of its leases, wall clock; null = permanent. */
      readonly leaseEndsMs: number | null;
      /** Why nobody may come in all the same, or why a part of it is not open; one sentence. Null = all is well. */
      readonly note: string | null;
    }
  | { readonly kind: "lost"; readonly message: string }
  | { readonly kind: "refused"; readonly why: RefusalKind; readonly message: string };

/** Mappings of the router above, kept for as long as they are wanted. */
export interface UpstreamForward {
  readonly spec: UpstreamSpec;
  readonly state: UpstreamState;
  /** Resolves when something else than `asking` is known. */
  settled(): Promise<void>;
  /** Deletes the mappings; resolves when the router has answered, after 3 s at most. */
  end(): Promise<void>;
}

/** `changed`: the state is another, or a lease was renewed. */
export type OpenUpstream = (spec: UpstreamSpec, changed: () => void) => UpstreamForward;
