import type { RelayControl } from "../roles/control.ts";

/** What commands ask of a relay, wherever that is. Its config file is read again on its own machine alone. */
export type AskedRelay = Omit<RelayControl, "reload">;
