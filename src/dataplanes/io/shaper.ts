import { shaperBurstBytes, TokenBucket } from "../../core/token-bucket.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES } from "./ends.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/**
 * The bandwidth limit of one forward, both directions together. Streams are slowed by holding back their ends;
 * datagrams above the rate are dropped. A limit that is lifted leaves the wrappers in place, without effect.
 */
export class Shaper {
  #bucket: TokenBucket | null;
  readonly #held = new Set<ShapedEnd>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(bytesPerSec: number) {
    this.#bucket = new TokenBucket(bytesPerSec, shaperBurstBytes(bytesPerSec), performance.now());
  }

  /** null = no limit from now on. */
  setRate(bytesPerSec: number | null): void {
    const nowMs = performance.now();
    if (bytesPerSec === null) this.#bucket = null;
    else if (this.#bucket === null) this.#bucket = new TokenBucket(bytesPerSec, shaperBurstBytes(bytesPerSec), nowMs);
    else this.#bucket.setRate(bytesPerSec, shaperBurstBytes(bytesPerSec), nowMs);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#release();
  }

  /** The end to use in place of `end`: what it delivers counts against the limit. Wrap both ends of a visit. */
  shape(end: ByteEnd): ByteEnd {
    return new ShapedEnd(end, this);
  }

  /** False: the datagram is above the rate and must be dropped. */
  allows(datagramBytes: number): boolean {
    return this.#bucket === null || this.#bucket.take(datagramBytes, performance.now());
  }

  /** Counts bytes that `end` has read; false: it is held back until the limit allows more. */
  spend(bytes: number, end: ShapedEnd): boolean {
    if (this.#bucket === null) return true;
    const nowMs = performance.now();
    this.#bucket.spend(bytes, nowMs);
    const waitMs = this.#bucket.waitMs(1, nowMs);
    if (waitMs === 0) return true;
    this.#held.add(end);
    this.#timer ??= setTimeout(() => this.#release(), waitMs);
    return false;
  }

  forget(end: ShapedEnd): void {
    this.#held.delete(end);
  }

  #release(): void {
    this.#timer = null;
    const waitMs = this.#bucket?.waitMs(1, performance.now()) ?? 0;
    if (waitMs > 0) {
      if (this.#held.size > 0) this.#timer = setTimeout(() => this.#release(), waitMs);
      return;
    }
    const ends = [...this.#held];
    this.#held.clear();
    for (const end of ends) end.release();
  }
}

class ShapedEnd implements ByteEnd, ByteSink {
  sink: ByteSink = SILENT_SINK;
  #held = false;
  #backlogBytes = 0;

  constructor(
    readonly inner: ByteEnd,
    readonly shaper: Shaper,
  ) {
    inner.sink = this;
  }

  write(bytes: Uint8Array): number {
    return this.inner.write(bytes);
  }

  backlog(queuedBytes: number): void {
    this.#backlogBytes = queuedBytes;
    if (!this.#held) this.inner.backlog(queuedBytes);
  }

  end(): void {
    this.inner.end();
  }

  reset(reason: ReasonName): void {
    this.inner.reset(reason);
  }

  opened(): void {
    this.inner.opened?.();
  }

  keepAlive(): void {
    this.inner.keepAlive?.();
  }

  onOpen(): void {
    this.sink.onOpen();
  }

  onData(bytes: Uint8Array): void {
    if (!this.shaper.spend(bytes.length, this) && !this.#held) {
      this.#held = true;
      this.inner.backlog(HOLD_BYTES);
    }
    this.sink.onData(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.sink.onDrain(queuedBytes);
  }

  onEnd(): void {
    this.sink.onEnd();
  }

  onClose(reason: ReasonName | null): void {
    this.shaper.forget(this);
    this.sink.onClose(reason);
  }

  /** The limit allows more: reading goes on unless the other side is still behind. */
  release(): void {
    this.#held = false;
    this.inner.backlog(this.#backlogBytes);
  }
}
