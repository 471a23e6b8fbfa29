import {
  judgeCertificate,
  judgeConnection,
  judgeJoined,
  judgeLink,
  judgeName,
  judgeVersions,
} from "../../core/doctor/link.ts";
import { skipped } from "../../core/doctor/model.ts";
import { lookAtRelay } from "../../dataplanes/tunnel/look.ts";
import { nowMs } from "../../os/clock.ts";
import { VERSION } from "../../os/version.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { trustOf } from "../agent/identity.ts";
import { readPem } from "../certificates.ts";
import { agentSettings } from "../config/load.ts";
import type { ForwardSpec } from "../control.ts";
import type { Check } from "./checks.ts";
import { RELAY_PROBE_MS, type World } from "./world.ts";

const NO_RELAY = skipped("This machine has joined no relay.");
export const LINK_CHECKS: readonly Check[] = [
  {
    id: "joined",
    section: "link",
    isInside: true,
    doing: "Looking at the relay that this machine joined",
    look: async (world) => {
      const { membership } = await world.state();
      const agent = await world.agent();
      const isServer = (await world.isRelaySetUp()) || (await world.isGatewaySetUp());
      const listed = await listedForwards(world);
      const needRelay = listed.filter(needsRelay).length;
      return judgeJoined({
        membership,
        listed: listed.length,
        needRelay,
        agentRuns: agent.kind !== "none",
        isServer,
      });
    },
  },
  {
    id: "name",
    section: "link",
    doing: "Resolving the relay's name",
    look: async (world) => {
      const relay = await world.relayAddress();
      return relay === null ? NO_RELAY : judgeName(relay.host, await world.relayAddresses());
    },
  },
  {
    id: "connection",
    section: "link",
    doing: "Connecting to the relay",
    limitMs: RELAY_PROBE_MS + 1_000,
    look: async (world) => {
      const relay = await world.relayAddress();
      if (relay === null) return NO_RELAY;
      const probe = await world.relayProbe();
      const text = formatHostPort(relay.host, relay.port);
      return judgeConnection({ relay: text, saw: probe?.saw ?? null, elapsedMs: probe?.elapsedMs ?? 0 });
    },
  },
  {
    id: "certificate",
    section: "link",
    doing: "Looking at the relay's certificate",
    limitMs: 12_000,
    look: async (world, signal) => {
      const relay = await world.relayAddress();
      const { enrolment } = await world.state();
      if (relay === null || enrolment === null) return NO_RELAY;
      if ((await world.relayProbe())?.saw !== "open") return skipped("The relay cannot be connected to.");
      const { config } = await world.config();
      const caPath = config === null ? null : agentSettings(config).ca;
      const trust = trustOf(enrolment, caPath === null ? null : await readPem(caPath));
      return judgeCertificate(await lookAtRelay({ relay, trust, wallMs: nowMs(), signal }), enrolment.trust);
    },
  },
  {
    id: "link",
    section: "link",
    doing: "Asking the agent for its link",
    look: async (world) => {
      const agent = await world.agent();
      if (agent.kind === "runs") return judgeLink(agent.status);
      if (agent.kind === "odd") return skipped("The agent here cannot be asked.");
      return (await world.relayAddress()) === null ? NO_RELAY : skipped("No agent runs here that could be connected.");
    },
  },
  {
    id: "relay-version",
    section: "link",
    doing: "Comparing versions with the relay",
    look: async (world) => {
      const agent = await world.agent();
      if (agent.kind !== "runs" || agent.status.link !== "up") return skipped("No agent here is connected to a relay.");
      return judgeVersions(VERSION, agent.status.relayVersion ?? null);
    },
  },
];

/** What an agent of this machine would open by itself. */
async function listedForwards(world: World): Promise<readonly ForwardSpec[]> {
  const { config } = await world.config();
  return [...(config?.forwards ?? []), ...(await world.state()).forwards];
}

function needsRelay(spec: ForwardSpec): boolean {
  return spec.kind === "remote" || (spec.kind === "local" && spec.local.via.kind !== "here");
}
