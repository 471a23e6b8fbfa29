import { ok, type Result } from "../../wire/result.ts";
import { elementsOf } from "./elements.ts";
import type { ListedElement } from "./listing.ts";
import type { StaticSetName } from "./names.ts";
import type { Nft } from "./nft.ts";
import type { NatEntry, NatError, NatUsage } from "./state.ts";

/** What the counters of a set's elements count for their entries; null = nothing, or there are none. */
function countedBy(set: StaticSetName): "visitors" | "in" | "out" | null {
  if (/^hw_(dnat|visits)/.test(set)) return "visitors";
  return /^hw_in/.test(set) ? "in" : /^hw_out/.test(set) ? "out" : null;
}

/** Reads the counters of the sets that the entries use: about 0.2 s a set of 20,000. */
export async function readUsage(
  nft: Nft,
  entries: ReadonlyMap<string, NatEntry>,
): Promise<Result<Map<string, NatUsage>, NatError>> {
  const elements = [...entries].map(([id, entry]) => [id, elementsOf(entry)] as const);
  const used = new Set(elements.flatMap(([, list]) => list.map((element) => element.set)));
  const sets = [...used].filter((set) => countedBy(set) !== null);
  const counters = new Map<StaticSetName, Map<string, ListedElement>>();
  for (const [at, listed] of (await Promise.all(sets.map((set) => nft.elements(set)))).entries()) {
    if (!listed.ok) return listed;
    const set = sets[at] as StaticSetName;
    counters.set(set, new Map(listed.value.map((element) => [element.key, element])));
  }
  return ok(
    new Map(
      elements.map(([id, list]) => {
        const usage = { visitorsTotal: 0, bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };
        for (const { set, key } of list) {
          const counter = counters.get(set)?.get(key);
          if (counter === undefined) continue;
          const counted = countedBy(set);
          if (counted === "visitors") usage.visitorsTotal += counter.packets;
          if (counted === "in") {
            usage.bytesIn += counter.bytes;
            usage.packetsIn += counter.packets;
          }
          if (counted === "out") {
            usage.bytesOut += counter.bytes;
            usage.packetsOut += counter.packets;
          }
        }
        return [id, usage];
      }),
    ),
  );
}
