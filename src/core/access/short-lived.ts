import { trimOldest } from "../bounded-map.ts";

export interface ShortLivedLimits {
  readonly lifetimeMs: number;
  readonly most: number;
  /** Of one owner: who asks for many loses their own, not another's. */
  readonly mostPerOwner: number;
}

interface Entry<T> {
  readonly owner: string;
  readonly value: T;
  readonly endsMs: number;
}

/** What is remembered for a few minutes and used once: challenges, secrets that wait to be confirmed. Bounded; the oldest goes first. */
export class ShortLived<T> {
  readonly #limits: ShortLivedLimits;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(limits: ShortLivedLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  put(id: string, owner: string, value: T, nowMs: number): void {
    const { lifetimeMs, most, mostPerOwner } = this.#limits;
    for (const [key, { endsMs }] of this.#entries) if (endsMs <= nowMs) this.#entries.delete(key);
    this.#entries.delete(id);
    const own = [...this.#entries].filter(([, entry]) => entry.owner === owner);
    for (const [key] of own.slice(0, Math.max(0, own.length - mostPerOwner + 1))) this.#entries.delete(key);
    this.#entries.set(id, { owner, value, endsMs: nowMs + lifetimeMs });
    trimOldest(this.#entries, most);
  }

  /** It is there once; null = it never was, was taken, or its time is over. */
  take(id: string, nowMs: number): T | null {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    return entry === undefined || entry.endsMs <= nowMs ? null : entry.value;
  }

  /** Without taking it. */
  peek(id: string, nowMs: number): T | null {
    const entry = this.#entries.get(id);
    return entry === undefined || entry.endsMs <= nowMs ? null : entry.value;
  }
}
