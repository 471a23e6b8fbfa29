import type { ListedMapping, RouterFailureKind, RouterIdentity, RouterProtocol } from "../../core/router/model.ts";
import type { Verdict } from "../../core/router/verdict.ts";

/** What one protocol of one router answered. */
export interface SpokenProtocol {
  readonly protocol: RouterProtocol;
  /** The router's address. */
  readonly router: string;
  readonly speaks: boolean;
  /** Null when it speaks. */
  readonly failure: { readonly kind: RouterFailureKind; readonly message: string } | null;
}

/** What this machine's router is, says and can do: `hatchway router`, and a part of `doctor` and `check`. */
export interface RouterReport {
  readonly v: 1;
  readonly routers: readonly {
    readonly family: 4 | 6;
    readonly address: string;
    readonly interfaceName: string;
    readonly ownAddress: string;
  }[];
  readonly identity: RouterIdentity | null;
  /** In the ladder's order. */
  readonly protocols: readonly SpokenProtocol[];
  /** What the router says that its address outside is; null = it did not say. */
  readonly externalAddress: string | null;
  /** Which address the STUN server saw; null = none was asked, or it did not answer. */
  readonly seenAddress: string | null;
  /** `host:port` of the STUN server that was asked; null = none. */
  readonly stunServer: string | null;
  readonly uptimeSec: number | null;
  /** Null = the router shows no list. `ours`: this machine asked for it, through Hatchway. */
  readonly mappings: readonly (ListedMapping & { readonly ours: boolean })[] | null;
  readonly verdict: Verdict;
}
