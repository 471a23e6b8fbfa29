import { judgeStates } from "../../core/doctor/forwards.ts";
import { fine, skipped } from "../../core/doctor/model.ts";
import {
  judgeCheckPage,
  judgePool,
  judgePublicAddress,
  judgeRelayPort,
  judgeRelayRuns,
} from "../../core/doctor/relay.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { lookAtRelay } from "../../dataplanes/tunnel/look.ts";
import { missingCapabilities } from "../../os/capabilities.ts";
import { nowMs } from "../../os/clock.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { processStatus } from "../../os/look.ts";
import { classifyAddress } from "../../wire/address.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../../wire/endpoint.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import type { RelayStatus } from "../control.ts";
import type { Check } from "./checks.ts";
import type { World } from "./world.ts";

const NOT_HERE = skipped("No relay runs on this machine.");

export const RELAY_CHECKS: readonly Check[] = [
  {
    id: "relay",
    section: "relay",
    doing: "Asking the relay",
    look: async (world) => {
      const relay = await world.relay();
      const isSetUp = await world.isRelaySetUp();
      if (relay.kind === "odd") return skipped("The relay here cannot be asked.");
      if (relay.kind === "none") return judgeRelayRuns({ isSetUp, running: null });
      const { listen, devicesConnected: connected, devicesEnrolled: enrolled } = relay.status;
      return judgeRelayRuns({ isSetUp, running: { listen, connected, enrolled } });
    },
  },
  {
    id: "agent-port",
    section: "relay",
    doing: "Connecting to the relay as an agent would",
    limitMs: 12_000,
    look: async (world, signal) => {
      const status = await running(world);
      const at = status === null ? null : dialable(status.listen);
      if (status === null || at === null) return NOT_HERE;
      const trust = { kind: "pinned", fingerprint: new Uint8Array(Buffer.from(status.fingerprint, "hex")) } as const;
      const sight = await lookAtRelay({ relay: at, trust, wallMs: nowMs(), signal });
      const { config } = await world.config();
      return judgeRelayPort(sight, config?.file.relay?.certificate === undefined, nowMs());
    },
  },
  {
    id: "public-address",
    section: "relay",
    doing: "Looking at the relay's public address",
    look: async (world) => {
      const status = await running(world);
      if (status === null) return NOT_HERE;
      const { publicHost } = status;
      const own = new Set(ownAddresses().map(({ address }) => address));
      const addresses = (await systemResolver().resolve(publicHost)).map((address) => ({
        address,
        range: classifyAddress(address),
        isOwn: own.has(address),
      }));
      return judgePublicAddress({ publicHost, addresses });
    },
  },
  {
    id: "ports",
    section: "relay",
    doing: "Looking at the ports that agents may open",
    look: async (world) => {
      const status = await running(world);
      if (status === null) return NOT_HERE;
      const { ports, pid } = status;
      const pool = parsePortSet(ports);
      const lowest = pool.ok ? Math.min(...pool.value.ranges.map(({ first }) => first)) : Number.POSITIVE_INFINITY;
      const process = await processStatus(pid);
      const mayOpenLow = process === "" ? null : missingCapabilities(["CAP_NET_BIND_SERVICE"], process).length === 0;
      return judgePool(ports, lowest, mayOpenLow);
    },
  },
  {
    id: "check-page",
    section: "relay",
    doing: "Asking the check page",
    look: async (world, signal) => {
      const status = await running(world);
      if (status === null) return NOT_HERE;
      const listen = (await world.config()).config?.file.check?.listen;
      if (listen === undefined) return judgeCheckPage(null, null);
      const at = dialable(formatHostPort(listen.host, listen.port)) ?? listen;
      return judgeCheckPage(formatHostPort(listen.host, listen.port), await httpStatus(at, status.publicHost, signal));
    },
  },
  {
    id: "relay-forward",
    section: "relay",
    doing: "Asking the relay for its forwards",
    look: async (world) => {
      if ((await running(world)) === null) return NOT_HERE;
      const forwards = await world.forwardsOf("relay");
      // What waits or is unhealthy is the device's affair, and its own doctor says why.
      const refused = forwards.filter(({ state }) => state === "refused");
      if (refused.length > 0) return judgeStates(refused, true);
      const open = forwards.filter(({ state }) => state === "open").length;
      const away = forwards.filter(({ state }) => state === "away").length;
      return fine(
        `${open} of ${forwards.length} forwards are open${away === 0 ? "" : `; ${away} are kept for devices that are away`}.`,
      );
    },
  },
];

async function running(world: World): Promise<RelayStatus | null> {
  const relay = await world.relay();
  return relay.kind === "runs" ? relay.status : null;
}

/** Where this machine itself dials what is bound there; null = it is not an address. */
function dialable(listen: string): HostPort | null {
  const parsed = parseHostPort(listen);
  if (!parsed.ok) return null;
  const { host, port } = parsed.value;
  return { host: host === "0.0.0.0" || host === "*" || host === "::" ? "127.0.0.1" : host, port };
}

/** The page is called by its public name, as visitors do: it refuses others. */
async function httpStatus(at: HostPort, name: string, signal: AbortSignal): Promise<number | null> {
  try {
    const url = `http://${formatHostPort(at.host, at.port)}/`;
    const response = await fetch(url, { headers: { host: formatHostPort(name, at.port) }, redirect: "manual", signal });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null;
  }
}
