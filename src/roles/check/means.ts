import type { RouterEvidence } from "../../core/check/evidence.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import type { PacketWatch } from "../../os/packet-watch.ts";
import type { Protocol } from "../../wire/port-set.ts";

/** What a check takes from the rest of the program; all of it may be another thing in tests. */
export interface CheckMeans {
  readonly resolver: Resolver;
  /** Null: this process may not see packets. */
  watchPackets(protocol: Protocol, port: number): PacketWatch | null;
  /** What this machine's router says of a port; null = no router was asked. Never rejects. */
  routerEvidence(port: number, protocol: Protocol, signal: AbortSignal): Promise<RouterEvidence | null>;
}
