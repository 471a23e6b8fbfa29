import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import type { Sweepable, Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { ReasonName } from "../../wire/reason.ts";

/** From the connection to the end of the request, and from a refusal to the client's own end. */
const PATIENCE_MS = 10_000;

/** Something that may not last. */
export interface Impatient {
  /** Called once, when the time is over; up to a sweep late. */
  expired(): void;
  /** Called when the proxy closes. */
  closed(): void;
}

/** Clients that have not yet asked, or were refused and have not yet left: each has PATIENCE_MS. */
export class Clients implements Sweepable {
  readonly #until = new Map<Impatient, number>();

  constructor(readonly sweeper: Sweeper) {
    sweeper.add(this);
  }

  add(client: Impatient, forMs = PATIENCE_MS): void {
    this.#until.set(client, this.sweeper.nowMs() + forMs);
  }

  remove(client: Impatient): void {
    this.#until.delete(client);
  }

  sweep(nowMs: number): void {
    for (const [client, untilMs] of this.#until) {
      if (nowMs < untilMs) continue;
      this.#until.delete(client);
      client.expired();
    }
  }

  close(): void {
    this.sweeper.remove(this);
    for (const client of [...this.#until.keys()]) client.closed();
    this.#until.clear();
  }

  /** Sends the last words of a refusal and half-closes; what the client still sends is read and forgotten. */
  bidFarewell(end: ByteEnd, words: Uint8Array | null): void {
    const farewell = new Farewell(end, this);
    end.sink = farewell;
    this.add(farewell);
    if (words !== null) end.write(words);
    end.end();
    // Reading may be paused; a RST for unread bytes would take the answer away from the client (RFC 9112 §9.6).
    end.backlog(0);
  }
}

class Farewell implements ByteSink, Impatient {
  constructor(
    readonly end: ByteEnd,
    readonly clients: Clients,
  ) {}

  expired(): void {
    this.end.reset("idle");
  }

  closed(): void {
    this.end.reset("shutdown");
  }

  onOpen(): void {}
  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  onClose(_reason: ReasonName | null): void {
    this.clients.remove(this);
  }
}
