import type { ResultOutcome } from "../../wire/tunnel/control.ts";
import type { Counters } from "../control.ts";
import type { Held } from "./held.ts";
import { countersOfHeld } from "./info.ts";
import type { Requests } from "./requests.ts";

/** The relay answers for a thousand (control.ts of the wire); so many fit into one frame whatever there is to say of them. */
const STATS_AT_ONCE = 500;
/** Whoever looks at a status waits no longer for the relay's part of it. */
const RELAY_PATIENCE_MS = 1_000;

export type HeldById = readonly (readonly [id: string, held: Held])[];

/**
 * What each forward counted, with the visitors that the relay turned away before the agent saw them. What keeps visitors away
 * there is known from then on, too.
 */
export async function countersOfAll(
  agent: { requests(): Requests | null },
  held: HeldById,
): Promise<Map<string, Counters>> {
  const remote = held.filter(([, { kind }]) => kind === "remote").map(([id]) => id);
  const atRelay = await askedOfRelay(agent.requests(), remote);
  for (const [id, one] of held) {
    const told = atRelay.get(id);
    if (one.kind !== "remote" || told === undefined) continue;
    one.forward.refusedAtRelay.saw(told.refused);
    one.forward.trouble = told.trouble ?? null;
  }
  return new Map(held.map(([id, one]) => [id, countersOfHeld(one)]));
}

type Told = Extract<ResultOutcome, { kind: "stats" }>["forwards"][number];

async function askedOfRelay(requests: Requests | null, ids: readonly string[]): Promise<Map<string, Told>> {
  const found = new Map<string, Told>();
  if (requests === null || ids.length === 0) return found;
  const { promise: patience, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, RELAY_PATIENCE_MS, null);
  for (let at = 0; at < ids.length; at += STATS_AT_ONCE) {
    const asked = requests.ask({ t: "stats", ids: ids.slice(at, at + STATS_AT_ONCE) });
    const answer = await Promise.race([asked, patience]);
    if (answer === null) break;
    if (answer.kind === "stats") for (const one of answer.forwards) found.set(one.id, one);
  }
  clearTimeout(timer);
  return found;
}
