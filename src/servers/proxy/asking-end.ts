import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Clients } from "./clients.ts";

/** What a client is told about its request, in its own protocol. */
export interface Answer {
  granted(): Uint8Array;
  refused(reason: ReasonName): Uint8Array;
}

/**
 * A client whose request is under way, as the visitor of a join: `opened` answers yes before the first byte of the
 * service, and a reset before that answers no in words instead of a TCP reset.
 */
export class AskingEnd implements ByteEnd, ByteSink {
  sink: ByteSink = SILENT_SINK;
  #answered = false;
  #left = false;

  constructor(
    readonly client: ByteEnd,
    readonly answer: Answer,
    readonly clients: Clients,
  ) {
    client.sink = this;
  }

  opened(): void {
    if (this.#answered || this.#left) return;
    this.#answered = true;
    this.client.write(this.answer.granted());
  }

  write(bytes: Uint8Array): number {
    return this.#left ? 0 : this.client.write(bytes);
  }

  backlog(queuedBytes: number): void {
    if (!this.#left) this.client.backlog(queuedBytes);
  }

  end(): void {
    if (!this.#left) this.client.end();
  }

  reset(reason: ReasonName): void {
    if (this.#left) return;
    if (this.#answered) {
      this.client.reset(reason);
      return;
    }
    this.clients.bidFarewell(this.client, this.answer.refused(reason));
    this.onClose(reason);
  }

  keepAlive(): void {
    if (!this.#left) this.client.keepAlive?.();
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.sink.onData(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.sink.onDrain(queuedBytes);
  }

  onEnd(): void {
    this.sink.onEnd();
  }

  onClose(reason: ReasonName | null): void {
    if (this.#left) return;
    this.#left = true;
    this.sink.onClose(reason);
  }
}
