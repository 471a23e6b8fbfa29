import type { Network } from "../../core/router/gateways.ts";
import type { Gateway } from "../../core/router/model.ts";
import type { ByFamily } from "../../core/router/verdict-facts.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { compileCidrs, isIpv6, parseCidr } from "../../wire/address.ts";

/** The routers to ask: those of the default routes, or the one that a person named. */
export function gatewaysOf({ gateways }: Network, router: string | null): ByFamily<Gateway | null> {
  const first = (family: 4 | 6) => gateways.find((one) => one.family === family) ?? null;
  if (router === null) return { v4: first(4), v6: first(6) };
  const family = isIpv6(router) ? 6 : 4;
  const known = gateways.find(({ address }) => address === router) ?? namedGateway(router, family, first(family));
  return family === 4 ? { v4: known, v6: null } : { v4: null, v6: known };
}

/** A router that no default route names: on the link whose network it is in, else on that of the default route. */
function namedGateway(router: string, family: 4 | 6, usual: Gateway | null): Gateway | null {
  const near = ownAddresses().find(({ address, prefixLength }) => {
    if (prefixLength === null || isIpv6(address) !== (family === 6)) return false;
    const network = parseCidr(`${address}/${prefixLength}`);
    return network.ok && compileCidrs([network.value]).contains(router);
  });
  if (near === undefined) return usual === null ? null : { ...usual, address: router };
  return { family, address: router, interfaceName: near.interfaceName, ownAddress: near.address, metric: 0 };
}
