import type { RelayControl } from "../roles/control.ts";

/** What commands ask of a relay, wherever that is. What has to do with its process is asked on its own machine alone. */
export type AskedRelay = Omit<RelayControl, "reload" | "handOver" | "declineUpgrade" | "upgrade">;
