import type { ByteEnd, ByteSink } from "../../src/dataplanes/io/ends.ts";
import type { ReasonName } from "../../src/wire/reason.ts";

/** A sink that keeps what it hears, so that a test can wait for it: events, never sleeps. */
export class Recorder implements ByteSink {
  readonly events: string[] = [];
  bytes = 0;
  /** The first bytes only, so that a test of 50 MB stays small. */
  text = "";
  opened = false;
  ended = false;
  /** undefined = still open. */
  closed: ReasonName | null | undefined;
  /** What the end told last. */
  queued = 0;
  onBytes: ((bytes: Uint8Array) => void) | null = null;
  readonly #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  constructor(readonly end: ByteEnd) {
    end.sink = this;
  }

  /** Resolves as soon as `until` holds; looked at after every event. */
  async when(until: () => boolean): Promise<void> {
    if (until()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ until, resolve });
    await promise;
  }

  whenOpen = () => this.when(() => this.opened);
  whenEnded = () => this.when(() => this.ended);
  whenClosed = () => this.when(() => this.closed !== undefined);
  whenBytes = (count: number) => this.when(() => this.bytes >= count);

  onOpen(): void {
    this.opened = true;
    this.#heard("open");
  }

  onData(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.text.length < 1_000) this.text += new TextDecoder().decode(bytes.subarray(0, 1_000));
    this.onBytes?.(bytes);
    this.#heard("data");
  }

  onDrain(queuedBytes: number): void {
    this.queued = queuedBytes;
    this.#heard("drain");
  }

  onEnd(): void {
    this.ended = true;
    this.#heard("end");
  }

  onClose(reason: ReasonName | null): void {
    this.closed = reason;
    this.#heard("close");
  }

  /** Writes `total` bytes, never more than the end's queue bears: waits for it to drain. */
  async pour(total: number, chunkBytes = 256 * 1024): Promise<void> {
    const chunk = new Uint8Array(chunkBytes).fill(120);
    for (let sent = 0; sent < total; ) {
      const size = Math.min(chunk.length, total - sent);
      this.queued = this.end.write(chunk.subarray(0, size));
      sent += size;
      if (this.queued > 0) await this.when(() => this.queued === 0 || this.closed !== undefined);
    }
  }

  #heard(event: string): void {
    if (this.closed !== undefined && event !== "close") this.events.push(`${event} after close`);
    else if (this.events.at(-1) !== event) this.events.push(event);
    for (const waiter of this.#waiting.splice(0)) {
      if (waiter.until()) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }
}
