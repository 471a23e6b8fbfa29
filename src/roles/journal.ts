import { StoreFailure } from "../store/failure.ts";

/** How the disk did not take a change. `X`: what contradicts it there. */
export type JournalFailure<X> =
  /** `message` is the operator's: it names paths. */
  { readonly kind: "storage"; readonly message: string } | { readonly kind: "conflict"; readonly conflict: X };

export interface JournalOptions<C, X> {
  /** Stores the changes, all or none; rejects with StoreFailure. */
  apply(changes: readonly C[]): Promise<readonly (X | null)[]>;
}

/**
 * Changes that are stored together. A change costs about half a millisecond of this thread and the commit its fsync:
 * visitors wait no longer than for one batch, and a thousand forwards cost sixteen fsyncs instead of two thousand.
 */
const BATCH = 64;

interface Waiting<C, X> {
  /** Null: nothing to store, told when everything before it is. */
  readonly change: C | null;
  /** Null: nothing builds on it. */
  readonly undo: (() => void) | null;
  readonly resolve: (failure: JournalFailure<X> | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Brings the store behind the forward table, in the table's order. The table changes at once; what changed it hears here
 * when that is on the disk. When it cannot be stored, that change and all that came after it are undone, newest first,
 * because they may build on one another.
 */
export class Journal<C, X> {
  readonly #options: JournalOptions<C, X>;
  #waiting: Waiting<C, X>[] = [];
  #running: Promise<void> | null = null;

  constructor(options: JournalOptions<C, X>) {
    this.#options = options;
  }

  /** Null when the change is on the disk. Otherwise `undo` has been called. */
  write(change: C, undo: () => void): Promise<JournalFailure<X> | null> {
    return this.#add(change, undo);
  }

  /** Stores what stays true when it cannot be stored. Null when it is on the disk. */
  note(change: C): Promise<JournalFailure<X> | null> {
    return this.#add(change, null);
  }

  /** Null when nothing that was written so far had to be undone: costs nothing when nothing waits. */
  settled(): Promise<JournalFailure<X> | null> {
    return this.#running === null ? Promise.resolve(null) : this.#add(null, null);
  }

  /** Resolves when nothing waits any more, stored or not. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #add(change: C | null, undo: (() => void) | null): Promise<JournalFailure<X> | null> {
    const { promise, resolve, reject } = Promise.withResolvers<JournalFailure<X> | null>();
    this.#waiting.push({ change, undo, resolve, reject });
    this.#running ??= this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop: the requests that came with this one join it, and visitors are served in between.
      await nextTurn();
      const batch = this.#waiting.splice(0, BATCH);
      try {
        const changes = batch.flatMap(({ change }) => (change === null ? [] : [change]));
        const outcomes = changes.length === 0 ? [] : await this.#options.apply(changes);
        let at = 0;
        for (const waiting of batch) {
          const conflict = waiting.change === null ? null : (outcomes[at++] ?? null);
          if (conflict !== null) waiting.undo?.();
          waiting.resolve(conflict === null ? null : { kind: "conflict", conflict });
        }
      } catch (error) {
        this.#fail([...batch, ...this.#waiting.splice(0)], error);
      }
    }
    this.#running = null;
  }

  #fail(all: readonly Waiting<C, X>[], error: unknown): void {
    for (const { undo } of all.toReversed()) undo?.();
    let undone = false;
    for (const { change, undo, resolve, reject } of all) {
      undone ||= undo !== null;
      if (change === null && !undone) resolve(null);
      else if (error instanceof StoreFailure) resolve({ kind: "storage", message: error.message });
      else reject(error);
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
