import { StoreFailure } from "../../store/failure.ts";
import type { HoldingChange } from "../../store/holdings.ts";
import type { LeaseConflict } from "../../store/leases.ts";

/** How the relay's disk did not take a change. */
export type JournalFailure =
  /** `message` is the operator's: it names paths. */
  | { readonly kind: "storage"; readonly message: string }
  | { readonly kind: "conflict"; readonly conflict: LeaseConflict };

export interface JournalOptions {
  /** Stores the changes, all or none; rejects with StoreFailure. */
  apply(changes: readonly HoldingChange[]): Promise<readonly (LeaseConflict | null)[]>;
}

/**
 * Changes that are stored together. A change costs about half a millisecond of this thread and the commit its fsync:
 * visitors wait no longer than for one batch, and a thousand forwards cost sixteen fsyncs instead of two thousand.
 */
const BATCH = 64;

interface Waiting {
  /** Null: nothing to store, told when everything before it is. */
  readonly change: HoldingChange | null;
  /** Null: nothing builds on it. */
  readonly undo: (() => void) | null;
  readonly resolve: (failure: JournalFailure | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Brings the store behind the forward table, in the table's order. The table changes at once; what changed it hears here
 * when that is on the disk. When it cannot be stored, that change and all that came after it are undone, newest first,
 * because they may build on one another.
 */
export class Journal {
  readonly #options: JournalOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Null when the change is on the disk. Otherwise `undo` has been called. */
  write(change: HoldingChange, undo: () => void): Promise<JournalFailure | null> {
    return this.#add(change, undo);
  }

  /** Stores what stays true when it cannot be stored. Null when it is on the disk. */
  note(change: HoldingChange): Promise<JournalFailure | null> {
    return this.#add(change, null);
  }

  /** Null when nothing that was written so far had to be undone: costs nothing when nothing waits. */
  settled(): Promise<JournalFailure | null> {
    return this.#running === null ? Promise.resolve(null) : this.#add(null, null);
  }

  /** Resolves when nothing waits any more, stored or not. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #add(change: HoldingChange | null, undo: (() => void) | null): Promise<JournalFailure | null> {
    const { promise, resolve, reject } = Promise.withResolvers<JournalFailure | null>();
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

  #fail(all: readonly Waiting[], error: unknown): void {
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
