import { FORWARD } from "../peers/peer.ts";
import { type Measure, serve } from "./measure.ts";

const CROWD = 5_000;
const MEGABYTE = 1e6;
const KIBIBYTE = 1_024;
/** Until what was allocated for starting, or for a connection's first bytes, can have been given back. */
const SETTLE_MS = 1_500;

/** Resident memory with nobody there, and with 5,000 visitors who asked once and then stay silent. */
export const memory: Measure = {
  name: "memory",
  planes: ["remote"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "relayIdle", label: "resident memory, relay, idle", unit: "MB", better: "lower" },
    { id: "agentIdle", label: "resident memory, agent, idle", unit: "MB", better: "lower" },
    { id: "relayCrowd", label: `resident memory, relay, ${CROWD} idle visitors`, unit: "MB", better: "lower" },
    { id: "agentCrowd", label: `resident memory, agent, ${CROWD} idle visitors`, unit: "MB", better: "lower" },
    { id: "relayEach", label: "– relay, a visitor", unit: "KiB", better: "lower" },
    { id: "agentEach", label: "– agent, a visitor", unit: "KiB", better: "lower" },
  ],
  async run(trial) {
    const { site } = trial;
    const resident = async () => {
      await Bun.sleep(SETTLE_MS);
      const [relay, agent] = await Promise.all([site.usage("relay"), site.usage("agent")]);
      return { relay: relay.residentBytes, agent: agent.residentBytes };
    };
    await serve(trial);
    const idle = await resident();
    const crowd = await site.crowd(FORWARD.web.entryPort, CROWD);
    const full = await resident();
    const stayed = await crowd.leave();
    if (stayed < CROWD) throw new Error(`only ${stayed} of ${CROWD} idle visitors were still connected at the end`);
    return {
      relayIdle: idle.relay / MEGABYTE,
      agentIdle: idle.agent / MEGABYTE,
      relayCrowd: full.relay / MEGABYTE,
      agentCrowd: full.agent / MEGABYTE,
      relayEach: (full.relay - idle.relay) / CROWD / KIBIBYTE,
      agentEach: (full.agent - idle.agent) / CROWD / KIBIBYTE,
    };
  },
};
