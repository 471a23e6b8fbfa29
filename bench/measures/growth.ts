import { ADDRESS } from "../lab/namespaces.ts";
import { signal } from "../lab/processes.ts";
import type { Site } from "../lab/site.ts";
import { startNamedAgent } from "../peers/hatchway.ts";
import { FORWARD, type Forward } from "../peers/peer.ts";
import { field, type Measure, refuseFailures, serve, type Trial, untilServing, warmLoad } from "./measure.ts";

const CROWD = 5_000;
const FORWARDS = 1_000;
const AGENTS = 200;
const AT_ONCE = 64;
/** Agents that start at the same time: more only wait for the processor. */
const STARTING_AT_ONCE = 4;
/**
 * The other agents rest (SIGSTOP) during the two loads: on machines of their own they would not take this one's
 * processors. Much shorter than the 30 s after which the relay takes a silent agent for dead.
 */
const MAX_REST_SEC = 5;
const KIBIBYTE = 1_024;

interface Speed {
  readonly newPerSec: number;
  readonly requestsPerSec: number;
}

async function speed(trial: Trial): Promise<Speed> {
  const where = [ADDRESS.relay, `${FORWARD.web.entryPort}`];
  const fresh = await warmLoad(trial, ["visitors", ...where, `${AT_ONCE}`]);
  const kept = await warmLoad(trial, ["requests", ...where, `${AT_ONCE}`, "closed", "1"]);
  refuseFailures(fresh);
  refuseFailures(kept);
  return { newPerSec: field(fresh, "perSec"), requestsPerSec: field(kept, "perSec") };
}

const percent = (grown: number, before: number) => (100 * grown) / before;

function compare(before: Speed, grown: Speed) {
  return {
    fresh: percent(grown.newPerSec, before.newPerSec),
    kept: percent(grown.requestsPerSec, before.requestsPerSec),
  };
}

const speedFigures = (what: string) =>
  [
    { id: "fresh", label: `new visitors/s with ${what}`, unit: "% of without", better: "higher" },
    { id: "kept", label: `keep-alive requests/s with ${what}`, unit: "% of without", better: "higher" },
  ] as const;

const common = { planes: ["remote"], protocol: "tcp", oursOnly: true } as const;

export const growthOfVisitors: Measure = {
  ...common,
  name: "growth-visitors",
  figures: speedFigures(`${CROWD} idle visitors`),
  async run(trial) {
    await serve(trial);
    const before = await speed(trial);
    const crowd = await trial.site.crowd(FORWARD.web.entryPort, CROWD);
    const grown = await speed(trial);
    await crowd.leave();
    return compare(before, grown);
  },
};

function manyForwards(count: number): Forward[] {
  return Array.from({ length: count }, (_, index) => ({
    ...FORWARD.web,
    name: `web${index}`,
    entryPort: FORWARD.web.entryPort + index,
  }));
}

const resident = async (site: Site, place: "relay" | "agent") => (await site.usage(place)).residentBytes;

export const growthOfForwards: Measure = {
  ...common,
  name: "growth-forwards",
  figures: [
    ...speedFigures(`${FORWARDS} forwards`),
    { id: "memory", label: "relay memory, a forward", unit: "KiB", better: "lower" },
  ],
  async run(trial) {
    const { site } = trial;
    await serve(trial);
    const memoryBefore = await resident(site, "relay");
    const before = await speed(trial);
    await site.clear();
    const forwards = manyForwards(FORWARDS);
    await trial.peer.startRelay(site, forwards);
    if (trial.peer.type === "remote") await trial.peer.startAgent(site, forwards);
    // They open in order, and asking a thousand times would take longer than opening them.
    await untilServing(site, [...forwards.slice(0, 1), ...forwards.slice(-1)]);
    const memoryGrown = await resident(site, "relay");
    const grown = await speed(trial);
    return { ...compare(before, grown), memory: (memoryGrown - memoryBefore) / (FORWARDS - 1) / KIBIBYTE };
  },
};

export const growthOfAgents: Measure = {
  ...common,
  name: "growth-agents",
  figures: [
    ...speedFigures(`${AGENTS} agents`),
    { id: "memory", label: "relay memory, an agent", unit: "KiB", better: "lower" },
  ],
  async run(trial) {
    const { site } = trial;
    await serve(trial);
    const memoryBefore = await resident(site, "relay");
    const before = await speed(trial);
    const alone = new Set(await site.namespaces.processIds("agent"));
    const others = manyForwards(AGENTS).slice(1);
    for (let first = 0; first < others.length; first += STARTING_AT_ONCE) {
      const batch = others.slice(first, first + STARTING_AT_ONCE);
      await Promise.all(batch.map((forward) => startNamedAgent(site, forward.name, [forward])));
      await untilServing(site, batch);
    }
    const memoryGrown = await resident(site, "relay");
    const resting = (await site.namespaces.processIds("agent")).filter((id) => !alone.has(id));
    for (const id of resting) signal(id, "SIGSTOP");
    const grown = await speed({ ...trial, seconds: Math.min(trial.seconds, MAX_REST_SEC) });
    for (const id of resting) signal(id, "SIGCONT");
    return { ...compare(before, grown), memory: (memoryGrown - memoryBefore) / (AGENTS - 1) / KIBIBYTE };
  },
};
