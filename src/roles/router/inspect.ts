import type { Network } from "../../core/router/gateways.ts";
import type { Gateway, ListedMapping, RouterIdentity, RouterProtocol } from "../../core/router/model.ts";
import { judge } from "../../core/router/verdict.ts";
import { type ByFamily, type ProtocolFacts, routerAddress } from "../../core/router/verdict-facts.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { areaLogger } from "../../os/log.ts";
import type { Probed } from "../../router/access.ts";
import { readNetwork } from "../../router/network.ts";
import { discoverBehaviour, discoverMapped } from "../../router/stun.ts";
import { systemAccess } from "../../router/system-access.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { ok } from "../../wire/result.ts";
import type { InspectRouter } from "../control.ts";
import { isOurs } from "../upstream/description.ts";
import { gatewaysOf } from "../upstream/gateway.ts";
import { RouterLog } from "../upstream/log.ts";
import type { RouterReport, SpokenProtocol } from "./report.ts";

/** Asks this machine's routers, and whoever sees it from outside, everything that they tell. In some 3 s, `behaviour` in 9. */
export const inspectRouter: InspectRouter = async ({ stunServer, router, behaviour = false, signal }) => {
  const network = await readNetwork(signal);
  const gateways = await gatewaysOf(network, router);
  const log = new RouterLog();
  const [v4, v6, seen4, seen6, nat] = await Promise.all([
    lookAt(gateways.v4, log, signal),
    lookAt(gateways.v6, log, signal),
    seenBy(stunServer, 4, signal),
    seenBy(stunServer, 6, signal),
    behaviour ? natBefore(stunServer, signal) : null,
  ]);
  const own = ownAddresses().map(({ address }) => address);
  const seen = { v4: seen4, v6: seen6 };
  const protocols = [...v4.facts, ...v6.facts];
  const facts = { gateways, protocols, seen, ownAddresses: own, tunnels: tunnelsOf(network) };
  return {
    v: 1,
    routers: [gateways.v4, gateways.v6].filter((one) => one !== null).map(({ metric: _, ...one }) => one),
    identity: v4.identity ?? v6.identity,
    protocols: [...v4.spoken, ...v6.spoken],
    externalAddress: routerAddress(facts),
    seen,
    stunServer: stunServer === null ? null : formatHostPort(stunServer.host, stunServer.port),
    nat,
    uptimeSec: v4.uptimeSec ?? v6.uptimeSec,
    mappings:
      v4.mappings?.map((one) => ({ ...one, ours: isOurs(one.description) && own.includes(one.internalAddress) })) ??
      null,
    ignored: log.ignored,
    verdict: judge(facts),
  };
};

/** Default routes that lead into a link without a router, and are used before any router's. */
function tunnelsOf({ gateways, pointToPoint }: Network): ByFamily<string | null> {
  const tunnel = (family: 4 | 6): string | null => {
    const found = pointToPoint.find((one) => one.family === family);
    const router = gateways.find((one) => one.family === family);
    return found === undefined || (router !== undefined && router.metric < found.metric) ? null : found.interfaceName;
  };
  return { v4: tunnel(4), v6: tunnel(6) };
}

async function seenBy(server: HostPort | null, family: 4 | 6, signal: AbortSignal): Promise<string | null> {
  if (server === null) return null;
  const found = await discoverMapped({ server, family, signal });
  if (found.ok) return found.value.mapped.address;
  // IPv6 is missing in many places; IPv4 is worth a word.
  if (family === 4) areaLogger("router").info("{message}", { message: found.error.message });
  return null;
}

async function natBefore(server: HostPort | null, signal: AbortSignal): Promise<RouterReport["nat"]> {
  if (server === null) return null;
  const found = await discoverBehaviour({ server, family: 4, signal });
  if (!found.ok || found.value.mapped === null) return null;
  const { mapping, filtering } = found.value;
  return { mapping, filtering };
}

interface Look {
  readonly facts: readonly ProtocolFacts[];
  readonly spoken: readonly SpokenProtocol[];
  readonly identity: RouterIdentity | null;
  readonly uptimeSec: number | null;
  readonly mappings: readonly ListedMapping[] | null;
}

const NOTHING: Look = { facts: [], spoken: [], identity: null, uptimeSec: null, mappings: null };

async function lookAt(gateway: Gateway | null, log: RouterLog, signal: AbortSignal): Promise<Look> {
  if (gateway === null) return NOTHING;
  const { onIgnored, onDeaf } = log;
  const access = systemAccess({ gateways: async () => ({ v4: gateway, v6: gateway }), onIgnored, onDeaf });
  const probed = (await Promise.all(TOGETHER.map((protocols) => access.probe(protocols, gateway, signal))))
    .flat()
    .filter((one, _, all) => isTold(one, all, gateway.family));
  const mappers = probed.flatMap(({ result }) => (result.ok ? [result.value] : []));
  try {
    const [facts, uptimes, list] = await Promise.all([
      Promise.all(
        probed.map(async ({ protocol, result: one }): Promise<ProtocolFacts> => {
          const family = gateway.family;
          if (!one.ok) return { protocol, family, failure: one.error, externalAddress: null };
          const told = family === 4 ? await one.value.externalAddress(signal) : ok(null);
          // A router without an address outside opens nothing, however well it answers.
          const failure = !told.ok && told.error.kind === "no-uplink" ? told.error : null;
          return { protocol, family, failure, externalAddress: told.ok ? told.value : null };
        }),
      ),
      Promise.all(mappers.map((mapper) => mapper.uptimeSec(signal))),
      mappers.map((mapper) => mapper.list(signal)).find((listing) => listing !== null) ?? null,
    ]);
    return {
      facts,
      spoken: facts.map(({ protocol, failure }) => ({
        protocol,
        router: gateway.address,
        failure: failure === null ? null : { kind: failure.kind, message: failure.message },
      })),
      identity: mappers.map(({ identity }) => identity).find(saysSomething) ?? null,
      uptimeSec: uptimes.flatMap((one) => (one.ok && one.value !== null ? [one.value] : [])).at(-1) ?? null,
      mappings: list?.ok ? list.value : null,
    };
  } finally {
    for (const mapper of mappers) mapper.close();
  }
}

/** Found by one probe each. */
const TOGETHER: readonly (readonly RouterProtocol[])[] = [
  ["pcp", "nat-pmp"],
  ["igd2", "igd1"],
];

/** NAT-PMP knows no IPv6 (RFC 6886 §1); a router that speaks UPnP is one version of it, or neither. */
function isTold({ protocol, result }: Probed, all: readonly Probed[], family: 4 | 6): boolean {
  if (protocol === "nat-pmp") return family === 4;
  if (protocol !== "igd2" && protocol !== "igd1") return true;
  const other = all.find((one) => one.protocol === (protocol === "igd2" ? "igd1" : "igd2"));
  return result.ok || (other?.result.ok !== true && protocol === "igd2");
}

function saysSomething({ manufacturer, model, name }: RouterIdentity): boolean {
  return manufacturer !== null || model !== null || name !== null;
}
