import { bulk, mixed } from "./bulk.ts";
import { datagrams } from "./datagrams.ts";
import { gatewayBulk, gatewayLatency, gatewayVisitors } from "./gateway.ts";
import { gatewayCost, gatewayGrowth, gatewayIdle } from "./gateway-growth.ts";
import { growthOfAgents, growthOfForwards, growthOfVisitors } from "./growth.ts";
import { addAt1, addAt1000, addAt20000 } from "./mapping.ts";
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
  gatewayBulk,
  gatewayVisitors,
  gatewayLatency,
  addAt1,
  addAt1000,
  addAt20000,
  gatewayGrowth,
  gatewayCost,
  gatewayIdle,
];
