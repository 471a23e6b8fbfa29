import type { RouterEvidence } from "../../core/check/evidence.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import type { PacketWatch } from "../../os/packet-watch.ts";
import type { Protocol } from "../../wire/port-set.ts";

/** Where an upstream mapping of this agent's is to lead. */
export interface UpstreamTarget {
  /** Null = this machine. */
  readonly host: string | null;
  readonly port: number;
  /** The router that was asked; null = that of the default route. */
  readonly router: string | null;
  /** It is wanted by IPv4, and was not refused there: routers list nothing else. */
  readonly isListed: boolean;
}

/** What a check takes from the rest of the program; all of it may be another thing in tests. */
export interface CheckMeans {
  readonly resolver: Resolver;
  /** Null: this process may not see packets. */
  watchPackets(protocol: Protocol, port: number): PacketWatch | null;
  /**
   * What this machine's router says of a port outside; null = no router was asked. `wanted`: what the router was asked
   * for; null = nothing. Never rejects.
   */
  routerEvidence(
    port: number,
    protocol: Protocol,
    wanted: UpstreamTarget | null,
    signal: AbortSignal,
  ): Promise<RouterEvidence | null>;
}
