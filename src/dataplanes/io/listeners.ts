import type { Endpoint } from "../../wire/endpoint.ts";
import { ok, type Result } from "../../wire/result.ts";
import type { EntryError } from "./entry-error.ts";

/** A port that an entry listens on. `externalPort` is the port set's number for it: 0 when any free one was asked for. */
export interface EntryPort {
  readonly endpoint: Endpoint;
  readonly externalPort: number;
}

/** What listens on one port. */
export interface Listener extends EntryPort {
  /** Null or absent: it listens. Else it resolves to null when it does, or to why it cannot (a runtime that binds later). */
  readonly binding?: Promise<EntryError | null> | null;
  /** Lets another process of this program listen there too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  close(): void;
}

/** The listeners of one forward in one protocol, by the numbers of the forward's port set, which may change. */
export class Listeners<L extends Listener> {
  readonly #byNumber = new Map<number, L>();

  constructor(readonly listen: (externalPort: number) => Result<L, EntryError>) {}

  get ports(): readonly L[] {
    return [...this.#byNumber.values()];
  }

  /** Opens those that are not open yet, all of them, or none and returns the first error. */
  open(numbers: ReadonlySet<number>): Result<null, EntryError> {
    const before = new Set(this.#byNumber.keys());
    for (const number of numbers) {
      if (before.has(number)) continue;
      const listener = this.listen(number);
      if (!listener.ok) {
        this.keep(before);
        return listener;
      }
      this.#byNumber.set(number, listener.value);
    }
    return ok(null);
  }

  /** Closes all others. */
  keep(numbers: ReadonlySet<number>): void {
    for (const [number, listener] of this.#byNumber) {
      if (numbers.has(number)) continue;
      listener.close();
      this.#byNumber.delete(number);
    }
  }

  close(): void {
    this.keep(new Set());
  }
}
