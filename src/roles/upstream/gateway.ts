import type { Network } from "../../core/router/gateways.ts";
import type { Gateway } from "../../core/router/model.ts";
import { tunnelGateways } from "../../core/router/tunnel-gateways.ts";
import type { ByFamily } from "../../core/router/verdict-facts.ts";
import { isTunnel, ownAddresses } from "../../os/interfaces.ts";
import { sourceAddress } from "../../os/source-address.ts";
import { readNetwork } from "../../router/network.ts";
import { isIpv6 } from "../../wire/address.ts";
import type { FindVpnGateway } from "../control.ts";

/** The routers to ask: those of the default routes, or the one that a person named. */
export async function gatewaysOf({ gateways }: Network, router: string | null): Promise<ByFamily<Gateway | null>> {
  const first = (family: 4 | 6) => gateways.find((one) => one.family === family) ?? null;
  if (router === null) return { v4: first(4), v6: first(6) };
  const family = isIpv6(router) ? 6 : 4;
  const known = gateways.find(({ address }) => address === router) ?? (await namedGateway(router, family));
  return family === 4 ? { v4: known, v6: null } : { v4: null, v6: known };
}

/** A router that no default route names: this machine's other routes know the link. Null = no way leads there. */
async function namedGateway(router: string, family: 4 | 6): Promise<Gateway | null> {
  const ownAddress = await sourceAddress(router);
  const near = ownAddresses().find(({ address }) => address === ownAddress);
  return near === undefined
    ? null
    : { family, address: router, interfaceName: near.interfaceName, ownAddress: near.address, metric: 0 };
}

/** The gateway of the VPN that this machine is in, guessed from its tunnels' addresses; null = there is none. */
export const findVpnGateway: FindVpnGateway = async (signal) => {
  const { pointToPoint } = await readNetwork(signal);
  const own = ownAddresses();
  const leaving = pointToPoint.map(({ interfaceName }) => interfaceName);
  const others = [...new Set(own.map(({ interfaceName }) => interfaceName))].filter(isTunnel);
  return tunnelGateways([...leaving, ...others], own)[0] ?? null;
};
