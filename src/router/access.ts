import type { Gateway, Mapper, RouterFailure, RouterProtocol } from "../core/router/model.ts";
import type { Result } from "../wire/result.ts";

/** What a probe found out about one protocol of a router. */
export interface Probed {
  readonly protocol: RouterProtocol;
  readonly result: Result<Mapper, RouterFailure>;
}

/** How this machine finds its routers, and what they speak. */
export interface RouterAccess {
  /** The router of the family by the routes as they are now; null = none. */
  gateway(family: 4 | 6, signal: AbortSignal): Promise<Gateway | null>;
  /**
   * Asks the router for these protocols, all of one family of protocols (PCP and NAT-PMP, or UPnP's), and answers for each
   * of them. Ends by itself in a few seconds. Mappers are the caller's to close.
   */
  probe(protocols: readonly RouterProtocol[], gateway: Gateway, signal: AbortSignal): Promise<readonly Probed[]>;
}
