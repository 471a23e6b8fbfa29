import type { Counters } from "../control.ts";
import type { Held } from "./held.ts";
import { countersOfHeld } from "./info.ts";
import type { Requests } from "./requests.ts";

/** The relay answers for this many forwards at once (control.ts of the wire). */
const STATS_AT_ONCE = 1_000;
/** Whoever looks at a status waits no longer for the relay's part of it. */
const RELAY_PATIENCE_MS = 1_000;

export type HeldById = readonly (readonly [id: string, held: Held])[];

/** What each forward counted, with the visitors that the relay turned away before the agent saw them. */
export async function countersOfAll(
  agent: { requests(): Requests | null },
  held: HeldById,
): Promise<Map<string, Counters>> {
  const remote = held.filter(([, { kind }]) => kind === "remote").map(([id]) => id);
  const atRelay = await refusedAtRelay(agent.requests(), remote);
  for (const [id, one] of held) {
    const refused = atRelay.get(id);
    if (one.kind === "remote" && refused !== undefined) one.forward.refusedAtRelay.saw(refused);
  }
  return new Map(held.map(([id, one]) => [id, countersOfHeld(one)]));
}

async function refusedAtRelay(
  requests: Requests | null,
  ids: readonly string[],
): Promise<Map<string, Record<string, number>>> {
  const found = new Map<string, Record<string, number>>();
  if (requests === null || ids.length === 0) return found;
  const { promise: patience, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, RELAY_PATIENCE_MS, null);
  for (let at = 0; at < ids.length; at += STATS_AT_ONCE) {
    const asked = requests.ask({ t: "stats", ids: ids.slice(at, at + STATS_AT_ONCE) });
    const answer = await Promise.race([asked, patience]);
    if (answer === null) break;
    if (answer.kind === "stats") for (const { id, refused } of answer.forwards) found.set(id, refused);
  }
  clearTimeout(timer);
  return found;
}
