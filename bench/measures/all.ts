import { bulk, mixed } from "./bulk.ts";
import { datagrams } from "./datagrams.ts";
import { growthOfAgents, growthOfForwards, growthOfVisitors } from "./growth.ts";
import type { Measure } from "./measure.ts";
import { memory } from "./memory.ts";
import { recovery, start } from "./recovery.ts";
import { keepAlive, visitors } from "./visitors.ts";

/** In the order of the table. */
export const MEASURES: readonly Measure[] = [
  bulk,
  visitors,
  keepAlive,
  mixed,
  datagrams,
  memory,
  start,
  recovery,
  growthOfVisitors,
  growthOfForwards,
  growthOfAgents,
];
