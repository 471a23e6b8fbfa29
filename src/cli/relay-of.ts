import type { AskedRelay } from "./asked-relay.ts";
import type { Context } from "./context.ts";
import { findPlace } from "./data-dir.ts";

/** The relay of --remote, else the one that runs with --data. Nothing is asked before the first call. */
export async function relayOf(context: Context): Promise<AskedRelay> {
  if (context.options.remote !== undefined) return (await import("./remote/open.ts")).openRemote(context);
  const { relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  return relayClient(paths.relaySocket);
}
