import type { RelayControl } from "../roles/control.ts";
import type { Context } from "./context.ts";
import { findPlace } from "./data-dir.ts";

/** What commands ask of a relay, wherever that is. A config file is read again on its own machine alone. */
export type AskedRelay = Omit<RelayControl, "reload">;

/** The relay of --remote, else the one that runs with --data. Nothing is asked before the first call. */
export async function relayOf(context: Context): Promise<AskedRelay> {
  if (context.options.remote !== undefined) return (await import("./remote/open.ts")).openRemote(context);
  const { relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  return relayClient(paths.relaySocket);
}
