import type { PeopleControl } from "../roles/control.ts";
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

/** Who knows the console's people: the relay of --remote, else the relay or the gateway that runs with --data. */
export async function peopleOf(context: Context): Promise<Pick<AskedRelay, keyof PeopleControl & keyof AskedRelay>> {
  if (context.options.remote !== undefined) return relayOf(context);
  const { gatewayClient, isRunning } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  if (await isRunning("relay", paths.relaySocket)) return relayOf(context);
  const { gatewaySocket } = (await findPlace(context, "gateway")).paths;
  // The relay's own words say how one is started.
  return (await isRunning("gateway", gatewaySocket)) ? gatewayClient(gatewaySocket) : relayOf(context);
}
