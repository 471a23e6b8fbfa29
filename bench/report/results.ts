import type { Figure, Plane } from "../measures/measure.ts";

/** Every sample of one figure of one peer, a round each. */
export interface Cell {
  readonly samples: readonly number[];
  /** The last failure's words; null when every round gave a value. */
  readonly problem: string | null;
}

export interface Row {
  readonly measure: string;
  readonly figure: Figure;
  readonly plane: Plane;
  readonly oursOnly: boolean;
  /** By the peer's name. A peer that cannot do what is measured has no cell. */
  readonly cells: ReadonlyMap<string, Cell>;
}

export interface Column {
  readonly peer: string;
  readonly plane: Plane;
  readonly version: string;
  readonly encryption: string | null;
}

/** One call of the program. */
export interface Run {
  readonly command: string;
  readonly startedAt: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly measures: readonly string[];
}

export interface Results {
  /** The newest first. Each measure was taken in one of them, of all peers. */
  readonly runs: readonly Run[];
  readonly machine: string;
  /** Ours is the first column of each plane. */
  readonly ours: string;
  readonly columns: readonly Column[];
  /** Peers that were asked for and could not be had, and why. */
  readonly absent: ReadonlyMap<string, string>;
  readonly rows: readonly Row[];
}

export function median(samples: readonly number[]): number | null {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export interface Comparison {
  readonly best: string;
  /** Above 1: ours is ahead, whether the figure is better higher or lower. Infinity when theirs is nothing, or ours is at no cost. */
  readonly ahead: number;
}

/**
 * Ours against the best peer, by medians. A remote peer without encryption is not ranked: it does less.
 * Null when ours or every peer has no value.
 */
export function compare(row: Row, results: Pick<Results, "ours" | "columns">): Comparison | null {
  const ours = median(row.cells.get(results.ours)?.samples ?? []);
  if (ours === null || row.oursOnly) return null;
  let best: { readonly peer: string; readonly value: number } | null = null;
  for (const { peer, plane, encryption } of results.columns) {
    const ranked = plane === row.plane && peer !== results.ours && (plane !== "remote" || encryption !== null);
    const value = ranked ? median(row.cells.get(peer)?.samples ?? []) : null;
    if (value === null) continue;
    const isBetter = best === null || (row.figure.better === "higher" ? value > best.value : value < best.value);
    if (isBetter) best = { peer, value };
  }
  if (best === null) return null;
  if (ours === best.value) return { best: best.peer, ahead: 1 };
  return { best: best.peer, ahead: row.figure.better === "higher" ? ours / best.value : best.value / ours };
}
