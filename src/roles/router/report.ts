import type {
  Gateway,
  ListedMapping,
  RouterFailureKind,
  RouterIdentity,
  RouterProtocol,
} from "../../core/router/model.ts";
import type { NatWords } from "../../core/router/report-words.ts";
import type { Verdict } from "../../core/router/verdict.ts";
import type { IgnoredCount } from "../../servers/local/control.ts";

/** What one protocol of one router answered. */
export interface SpokenProtocol {
  readonly protocol: RouterProtocol;
  /** The router's address. */
  readonly router: string;
  /** Null when it speaks it. */
  readonly failure: { readonly kind: RouterFailureKind; readonly message: string } | null;
}

/** What this machine's router is, says and can do: `hatchway router`, and a part of other commands. */
export interface RouterReport {
  readonly v: 1;
  /** IPv4's first. Empty: this machine has none. */
  readonly routers: readonly Omit<Gateway, "metric">[];
  /** Null = it does not say. */
  readonly identity: RouterIdentity | null;
  /** In the ladder's order, IPv4's first. Of UPnP-IGD's versions the router's; igd2 when it speaks neither. */
  readonly protocols: readonly SpokenProtocol[];
  /** The router's IPv4 address outside, as it says; null = it does not say. */
  readonly externalAddress: string | null;
  /** This machine's addresses as the STUN server sees them; null = none was asked, or it did not answer. */
  readonly seen: { readonly v4: string | null; readonly v6: string | null };
  /** `host:port` of the STUN server that was asked; null = none. */
  readonly stunServer: string | null;
  /** How what stands between here and the STUN server translates and filters IPv4; null = it was not asked, or did not answer. */
  readonly nat: NatWords | null;
  /** Since the router started, as it says; null = it does not say. */
  readonly uptimeSec: number | null;
  /** Null = the router shows no list. `ours`: Hatchway asked for it, for this machine. */
  readonly mappings: readonly (ListedMapping & { readonly ours: boolean })[] | null;
  /** What came while it was asked, and was no answer of the router's. */
  readonly ignored: readonly IgnoredCount[];
  readonly verdict: Verdict;
}
