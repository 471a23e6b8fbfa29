import type { UpstreamSpec } from "../../core/forward.ts";
import type { RouterFailureKind } from "../../core/router/model.ts";
import type { Endpoint, RefusalKind, RouterName } from "../control.ts";

/**
 * What must be known beside the addresses. not-public: the router's own address is not one of the internet.
 * address-untold: no protocol of the router tells it. other-port: the wanted port is another's. ipv6-only: IPv4 is not
 * open.
 */
export interface UpstreamNote {
  readonly kind: "not-public" | "address-untold" | "other-port" | "ipv6-only";
  /** What is so: one sentence. */
  readonly message: string;
  /** What to do, in the command line's words: one sentence. Null = nothing. */
  readonly advice: string | null;
}

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
      /** Why nobody may come in all the same, or why a part of it is not open; the gravest. Null = all is well. */
      readonly note: UpstreamNote | null;
    }
  | { readonly kind: "lost"; readonly failure: RouterFailureKind; readonly message: string }
  /** `failure` null: what was asked for makes no sense. */
  | {
      readonly kind: "refused";
      readonly why: RefusalKind;
      readonly failure: RouterFailureKind | null;
      readonly message: string;
    };

/** For people. */
export function noteText({ message, advice }: UpstreamNote): string {
  return advice === null ? message : `${message} ${advice}`;
}

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
