import { FORWARD } from "../peers/peer.ts";
import { firstByteMs, type Measure, serve } from "./measure.ts";

const SILENCE_MS = 5_000;
const LIMIT_SEC = 60;

/** From the start of an agent that has run before to the first answer a visitor gets. */
export const start: Measure = {
  name: "start",
  planes: ["remote"],
  protocol: "tcp",
  oursOnly: false,
  figures: [{ id: "served", label: "agent started → first answer", unit: "ms", better: "lower" }],
  async run(trial) {
    const { site, peer } = trial;
    if (peer.type !== "remote") throw new Error("a direct forward has no agent");
    await serve(trial);
    await site.end("agent");
    const served = firstByteMs(site, FORWARD.web, LIMIT_SEC);
    const startedMs = Date.now();
    await peer.startAgent(site, [FORWARD.web]);
    return { served: (await served) - startedMs };
  },
};

/** How long visitors get nothing after the agent's link to the relay was reset, and after it was silent for a while. */
export const recovery: Measure = {
  name: "recovery",
  planes: ["remote"],
  protocol: "tcp",
  oursOnly: false,
  figures: [
    { id: "reset", label: "link reset → service", unit: "ms", better: "lower" },
    {
      id: "silence",
      label: `link back after ${SILENCE_MS / 1_000} s of silence → service`,
      unit: "ms",
      better: "lower",
    },
  ],
  async run(trial) {
    const { site } = trial;
    await serve(trial);
    await site.namespaces.resetAgentLink();
    const resetMs = Date.now();
    const afterResetMs = (await firstByteMs(site, FORWARD.web, LIMIT_SEC)) - resetMs;

    const restore = await site.namespaces.silenceAgentLink();
    // Visitors keep coming meanwhile, so both ends have something to send and TCP backs off.
    const served = firstByteMs(site, FORWARD.web, LIMIT_SEC);
    await Bun.sleep(SILENCE_MS);
    await restore();
    const restoredMs = Date.now();
    return { reset: afterResetMs, silence: (await served) - restoredMs };
  },
};
