import { ROOT } from "./lab/commands.ts";
import type { Site } from "./lab/site.ts";
import { type Measure, PLANES } from "./measures/measure.ts";
import type { Peer } from "./peers/peer.ts";
import type { Cell, Row } from "./report/results.ts";

/** After this many failures a peer is not tried again with that measure: each may cost half a minute of waiting. */
const MAX_FAILURES = 2;

interface Pair {
  readonly measure: Measure;
  readonly peer: Peer;
  readonly taken: Readonly<Record<string, number>>[];
  readonly problems: string[];
}

export interface Plan {
  readonly measures: readonly Measure[];
  readonly peers: readonly Peer[];
  readonly ours: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Told about each measurement as it ends. */
  readonly onProgress: (sentence: string) => void;
  /** Told from outside that no further measurement should start. */
  readonly signal: AbortSignal;
}

const fits = (measure: Measure, peer: Peer, ours: string) =>
  measure.planes.includes(peer.type) &&
  peer.protocols.includes(measure.protocol) &&
  (!measure.oursOnly || peer.name === ours);

/**
 * In each round each measure is taken of each peer, one directly after the other, and every round begins with another
 * peer: what the machine does meanwhile (heat, neighbours) meets all alike.
 */
export async function runRounds(site: Site, plan: Plan): Promise<Row[]> {
  const { measures, peers, ours, rounds, seconds, onProgress, signal } = plan;
  const pairs = measures.map((measure) =>
    peers.filter((peer) => fits(measure, peer, ours)).map((peer): Pair => ({ measure, peer, taken: [], problems: [] })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const group of pairs) {
      for (let turn = 0; turn < group.length; turn++) {
        const pair = group[(turn + round) % group.length];
        if (pair === undefined || pair.problems.length >= MAX_FAILURES) continue;
        if (signal.aborted) return rowsOf(pairs);
        const outcome = await take(site, pair, seconds);
        onProgress(
          `round ${round + 1}/${rounds}, ${pair.measure.name}, ${pair.peer.name} (${pair.peer.type}): ${outcome}`,
        );
      }
    }
  }
  return rowsOf(pairs);
}

async function take(site: Site, pair: Pair, seconds: number): Promise<string> {
  try {
    const values = await pair.measure.run({ site, peer: pair.peer, seconds });
    pair.taken.push(values);
    return Object.entries(values)
      .map(([id, value]) => `${id} ${Number(value.toPrecision(3))}`)
      .join(", ");
  } catch (error) {
    // Where the checkout is does not belong into a page that is kept.
    const problem = (error as Error).message.replaceAll(`${ROOT}/`, "").replace(/\s+/g, " ").trim();
    pair.problems.push(problem);
    return `failed: ${problem}`;
  } finally {
    await site.clear();
  }
}

function rowsOf(groups: readonly (readonly Pair[])[]): Row[] {
  return groups.flatMap((group) =>
    PLANES.flatMap((plane) => {
      const pairs = group.filter(({ peer }) => peer.type === plane);
      const measure = pairs[0]?.measure;
      if (measure === undefined) return [];
      return measure.figures.map((figure) => ({
        measure: measure.name,
        figure,
        plane,
        oursOnly: measure.oursOnly,
        cells: new Map(pairs.map((pair) => [pair.peer.name, cellOf(pair, figure.id)])),
      }));
    }),
  );
}

function cellOf({ taken, problems }: Pair, id: string): Cell {
  const samples = taken.flatMap((values) => values[id] ?? []);
  return { samples, problem: problems.at(-1) ?? null };
}
