import type { Admission } from "../../dataplanes/io/visits.ts";
import type { Clients, Impatient } from "../proxy/clients.ts";

/**
 * The connections that the requests of one visitor's connection open to a service of HTTP/1. The visitor was let in for
 * one; each one more counts where the site limits connections, and a request that finds none free waits for one.
 */
export class H2Places {
  #open = 0;
  readonly #waiting: Waiting[] = [];

  constructor(
    readonly admission: Admission,
    readonly address: string,
    readonly clients: Clients,
  ) {}

  /** Calls `begin` now or later, or `giveUp` when there was no room for a while. After `begin`, `leave` must follow. */
  take(begin: () => void, giveUp: () => void): void {
    if (this.#enter()) {
      begin();
      return;
    }
    const waiting: Waiting = {
      begin,
      expired: () => {
        this.#forget(waiting);
        giveUp();
      },
      closed: giveUp,
    };
    this.#waiting.push(waiting);
    this.clients.add(waiting);
  }

  leave(): void {
    this.#open -= 1;
    if (this.#open > 0) this.admission.leave(this.address);
    this.look();
  }

  /** There may be room: others went. */
  look(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#enter(); next = this.#waiting[0]) {
      this.#forget(next);
      next.begin();
    }
  }

  /** Nobody waits any more. */
  close(): void {
    for (const waiting of [...this.#waiting]) this.#forget(waiting);
  }

  #enter(): boolean {
    if (this.#open > 0 && !this.admission.admitMore(this.address)) return false;
    this.#open += 1;
    return true;
  }

  #forget(waiting: Waiting): void {
    this.clients.remove(waiting);
    const at = this.#waiting.indexOf(waiting);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

interface Waiting extends Impatient {
  begin(): void;
}
