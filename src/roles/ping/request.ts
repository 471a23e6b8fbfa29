import type { PingPath } from "../../core/ping/model.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { PingRequest } from "../control.ts";
import { dialledRoute, type PingPlane, type PingRoute, socksRoute, tunnelRoute } from "./routes.ts";

/** Whether the request asks for this path. */
export function isAsked({ only }: Pick<PingRequest, "only">, path: PingPath): boolean {
  return only === null || only === path;
}

export function payloadOf({ payload }: PingRequest): Uint8Array | null {
  return payload === null ? null : Uint8Array.fromBase64(payload);
}

/** The paths to a host that the request asks for. Without `via` there is only the direct one. */
export async function hostRoutes(
  plane: PingPlane,
  request: Pick<PingRequest, "only" | "via">,
  to: HostPort,
  session: () => Session | null,
): Promise<PingRoute[]> {
  const target = { host: to.host, port: to.port };
  const { via } = request;
  const routes: PingRoute[] = [];
  if (isAsked(request, "direct")) {
    const options = { path: "direct", isEntry: false, proxyProtocol: null } as const;
    routes.push(await dialledRoute(plane, target, options));
  }
  if (via !== null && isAsked(request, "forwarded")) {
    routes.push(
      via.kind === "socks5" ? await socksRoute(plane, via.proxy, target) : tunnelRoute(plane, via, target, session),
    );
  }
  return routes;
}
