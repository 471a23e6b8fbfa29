import { type Element, elementsOf } from "./elements.ts";
import { STATIC_SET_NAMES, type StaticSetName } from "./names.ts";
import type { Delta } from "./render.ts";
import type { NatChange, NatEntry, NatLimits } from "./state.ts";

/** Who wants a key, and with what. */
interface Holder {
  readonly id: string;
  readonly data: string | null;
}

/** The value of a key before the first change to it in a batch. */
type Before = ReadonlyMap<StaticSetName, Map<string, string | null | undefined>>;

/**
 * The elements that a set of entries stands for. Two forwards to one port of a client share a key of `hw_rsnat`: the
 * first by id has it, whatever the order they came in, so that a restart comes to the same table.
 */
export class ElementTable {
  readonly #sets = new Map<StaticSetName, Map<string, Holder[]>>(STATIC_SET_NAMES.map((name) => [name, new Map()]));
  readonly #entries = new Map<string, NatEntry>();
  /** Those of #entries with limits of their own: few. */
  readonly #limited = new Map<string, NatEntry>();
  #before: Before = new Map();

  get entries(): ReadonlyMap<string, NatEntry> {
    return this.#entries;
  }

  /** The data of a key (null in a set), or undefined. */
  get(set: StaticSetName, key: string): string | null | undefined {
    return this.#sets.get(set)?.get(key)?.[0]?.data;
  }

  *elements(): Generator<Element> {
    for (const [set, keys] of this.#sets)
      for (const [key, holders] of keys) yield { set, key, data: holders[0]?.data ?? null };
  }

  keys(set: StaticSetName): Iterable<string> {
    return this.#sets.get(set)?.keys() ?? [];
  }

  /** What all that `change` is told inside comes to. A key whose data stays is not touched: its counter goes on. */
  batch(make: () => void): Delta {
    this.#before = new Map(STATIC_SET_NAMES.map((name) => [name, new Map()]));
    make();
    const delta = { remove: [] as Element[], add: [] as Element[] };
    for (const [set, keys] of this.#before) {
      for (const [key, old] of keys) {
        const now = this.get(set, key);
        if (now === old) continue;
        if (old !== undefined) delta.remove.push({ set, key, data: old });
        if (now !== undefined) delta.add.push({ set, key, data: now });
      }
    }
    return delta;
  }

  change({ put, remove }: NatChange): void {
    for (const id of remove) this.#remove(id);
    for (const entry of put) {
      this.#remove(entry.id);
      this.#put(entry);
    }
  }

  /** Each pair of limits that an entry has of its own, by `nameOf`. */
  limits(nameOf: (limits: NatLimits) => string): Map<string, NatLimits> {
    const found = new Map<string, NatLimits>();
    for (const { limits } of this.#limited.values()) if (limits !== null) found.set(nameOf(limits), limits);
    return found;
  }

  #put(entry: NatEntry): void {
    this.#entries.set(entry.id, entry);
    if (entry.limits !== null) this.#limited.set(entry.id, entry);
    for (const { set, key, data } of elementsOf(entry)) {
      const holders = this.#touch(set, key);
      holders.push({ id: entry.id, data });
      if (holders.length > 1) holders.sort((a, b) => (a.id < b.id ? -1 : 1));
      this.#sets.get(set)?.set(key, holders);
    }
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#limited.delete(id);
    for (const { set, key } of elementsOf(entry)) {
      const left = this.#touch(set, key).filter((holder) => holder.id !== id);
      if (left.length > 0) this.#sets.get(set)?.set(key, left);
      else this.#sets.get(set)?.delete(key);
    }
  }

  #touch(set: StaticSetName, key: string): Holder[] {
    const holders = this.#sets.get(set)?.get(key) ?? [];
    const seen = this.#before.get(set);
    if (seen !== undefined && !seen.has(key)) seen.set(key, holders[0]?.data);
    return holders;
  }
}

/** The change that takes `changes` back. */
export function undoOf(entries: ReadonlyMap<string, NatEntry>, changes: readonly NatChange[]): NatChange {
  const ids = new Set(changes.flatMap(({ put, remove }) => [...put.map(({ id }) => id), ...remove]));
  const known = [...ids].map((id) => [id, entries.get(id)] as const);
  return {
    put: known.flatMap(([, entry]) => (entry === undefined ? [] : [entry])),
    remove: known.filter(([, entry]) => entry === undefined).map(([id]) => id),
  };
}
