import { skipped } from "../../core/doctor/model.ts";
import { judgeMappings, judgeRouter } from "../../core/doctor/router.ts";
import type { ForwardInfo, RouterReport } from "../control.ts";
import type { Check } from "./checks.ts";
import type { World } from "./world.ts";

/** PCP, NAT-PMP, SSDP and STUN are each asked again a few times. */
const ROUTER_MS = 15_000;

export const ROUTER_CHECKS: readonly Check[] = [
  {
    id: "router",
    section: "router",
    doing: "Asking the router",
    limitMs: ROUTER_MS,
    look: async (world) => {
      const isNeeded = await wantsRouter(world);
      if (!isNeeded) {
        const { membership } = await world.state();
        if (membership.kind === "unreadable")
          return skipped("Whether this machine needs its router could not be read.");
        if ((await world.relayAddress()) !== null)
          return skipped("No port of the router is wanted: forwards go by the relay.");
        if (await isServer(world)) return skipped("No port of a router is wanted on this machine.");
      }
      const { kind, sure, advice } = (await world.router()).verdict;
      return judgeRouter({ kind, sure, advice, isNeeded });
    },
  },
  {
    id: "mappings",
    section: "router",
    doing: "Comparing the router's list with what it was asked for",
    limitMs: ROUTER_MS,
    look: async (world) => {
      const held = (await world.forwardsOf("agent")).filter(
        ({ type, state }) => type === "upstream" && state === "open",
      );
      if (held.length === 0) return skipped("The router holds nothing for this machine.");
      const { mappings } = await world.router();
      const missing = mappings === null ? [] : held.filter((forward) => !isListed(forward, mappings));
      return judgeMappings({ held: held.length, missing: missing.map(({ name }) => name) });
    },
  },
];

async function wantsRouter(world: World): Promise<boolean> {
  const { config } = await world.config();
  const { forwards } = await world.state();
  return (
    (config?.file.map?.length ?? 0) > 0 ||
    forwards.some(({ kind }) => kind === "upstream") ||
    (await world.forwardsOf("agent")).some(({ type }) => type === "upstream")
  );
}

async function isServer(world: World): Promise<boolean> {
  return (await world.isRelaySetUp()) || (await world.isGatewaySetUp());
}

/** By its IPv4 ports: a router lists no pinholes there. */
function isListed({ endpoints }: ForwardInfo, mappings: NonNullable<RouterReport["mappings"]>): boolean {
  return endpoints
    .filter(({ host }) => !host.includes(":"))
    .every(({ protocol, port }) =>
      mappings.some((one) => one.protocol === protocol && one.externalPort === port && one.enabled),
    );
}
