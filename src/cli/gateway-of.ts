import type { AskedGateway } from "./asked-gateway.ts";
import type { Context } from "./context.ts";
import { findPlace } from "./data-dir.ts";

/** The gateway of --remote, else the one that runs with --data. Nothing is asked before the first call. */
export async function gatewayOf(context: Context): Promise<AskedGateway> {
  if (context.options.remote !== undefined) return (await import("./remote/open.ts")).openRemoteGateway(context);
  const { gatewayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "gateway");
  return gatewayClient(paths.gatewaySocket);
}
