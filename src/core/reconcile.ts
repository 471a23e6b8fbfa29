import type { LocalSpec } from "./forward.ts";
import { same } from "./same.ts";

/**
 * One thing that should be, or is, open. What it is made of is split by what a change costs: another `entry` closes
 * it and opens it again, other `options` are applied to what is open, and its connections live on.
 */
export interface Item<T> {
  /** Stable and unique: the forward's id. */
  readonly key: string;
  readonly enabled: boolean;
  /** Plain data: bind address, exit. */
  readonly entry: unknown;
  /** Plain data: everything else. */
  readonly options: unknown;
  readonly value: T;
}

export interface Change<T> {
  readonly from: T;
  readonly to: T;
}

/** What leads from the actual to the desired state. Carry it out in this order: ports that move must be free first. */
export interface Plan<T> {
  readonly close: readonly T[];
  readonly change: readonly Change<T>[];
  readonly open: readonly T[];
  readonly keep: readonly T[];
}

/**
 * Level-based: compares whole states and keeps no memory, so a plan that failed half-way is mended by the next one,
 * and planning again after success changes nothing. A disabled item is not open. Order follows the lists given. Of two
 * desired items with one key the later wins; of two actual ones both are closed unless the later fits.
 */
export function plan<T>(desired: readonly Item<T>[], actual: readonly Item<T>[]): Plan<T> {
  const wanted = new Map(desired.map((item) => [item.key, item]));
  const present = new Map(actual.map((item) => [item.key, item]));
  const close: T[] = [];
  const change: Change<T>[] = [];
  const open: T[] = [];
  const keep: T[] = [];
  for (const item of actual) {
    const want = wanted.get(item.key);
    if (present.get(item.key) !== item || want === undefined || !fits(want, item)) close.push(item.value);
    else if (same(want.options, item.options)) keep.push(item.value);
    else change.push({ from: item.value, to: want.value });
  }
  for (const want of wanted.values()) {
    const item = present.get(want.key);
    if (want.enabled && (item === undefined || !fits(want, item))) open.push(want.value);
  }
  return { close, change, open, keep };
}

/** What is open stays open: it is still wanted, with the same entry. */
function fits<T>(want: Item<T>, item: Item<T>): boolean {
  return want.enabled && same(want.entry, item.entry);
}

/** A forward whose entry is here: a change of its address or of where it leads opens it anew; ports may change under it. */
export function localItem(spec: LocalSpec): Item<LocalSpec> {
  const { id, enabled, type, bind, to, via, ...options } = spec;
  return { key: id, enabled, entry: { type, bind, to, via }, options, value: spec };
}
