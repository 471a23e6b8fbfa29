/**
 * Credit flow control of one stream direction, receiver's side. Throughput is at most window ÷ RTT, so the window
 * grows while the reader keeps up; a reader that stalls costs at most its window (tunnel.md "Windows").
 */

/** Both sides may send this much on a new stream before any CREDIT: data may follow OPEN at once. Part of the protocol. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;
export const MAX_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * A round trip shorter than this is taken as this: on a fast link the event loop's own turns, not the wire, are the
 * delay that the window must cover (measured: 256 KiB 3.4 Gbit/s, 8 MiB 4.9).
 */
const LEAST_RTT_MS = 4;

/** One memory cap shared by many windows: growth beyond the initial window is taken from it and given back at the end. */
export class WindowBudget {
  private takenBytes = 0;
  constructor(
    readonly capBytes: number,
    private readonly parent: WindowBudget | null = null,
  ) {}

  take(bytes: number): boolean {
    if (this.takenBytes + bytes > this.capBytes) return false;
    if (this.parent !== null && !this.parent.take(bytes)) return false;
    this.takenBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.takenBytes -= bytes;
    this.parent?.give(bytes);
  }

  get usedBytes(): number {
    return this.takenBytes;
  }
}

/** `mostBytes`: how far it grows at the most; at least INITIAL_WINDOW_BYTES. */
export class ReceiveWindow {
  private windowBytes = INITIAL_WINDOW_BYTES;
  /** What the sender may still send. */
  private allowedBytes = INITIAL_WINDOW_BYTES;
  private deliveredBytes = 0;
  private consumedBytes = 0;
  private grantedAtMs: number;

  constructor(
    private readonly budget: WindowBudget,
    nowMs: number,
    private readonly mostBytes = MAX_WINDOW_BYTES,
  ) {
    this.grantedAtMs = nowMs;
  }

  /** False when the sender overran its credit: a protocol error. */
  received(bytes: number): boolean {
    this.allowedBytes -= bytes;
    this.deliveredBytes += bytes;
    return this.allowedBytes >= 0;
  }

  /**
   * The reader now holds `queuedBytes` of all that was delivered. Returns the credit to send, 0 for none:
   * credit goes out once half the window is free, and the window doubles when that took less than two round trips.
   */
  consumed(queuedBytes: number, rttMs: number, nowMs: number): number {
    const freed = this.deliveredBytes - queuedBytes - this.consumedBytes;
    if (freed < this.windowBytes / 2) return 0;
    this.consumedBytes += freed;
    let credit = freed;
    const tookMs = nowMs - this.grantedAtMs;
    this.grantedAtMs = nowMs;
    if (tookMs < 2 * Math.max(rttMs, LEAST_RTT_MS) && this.windowBytes < this.mostBytes) {
      const growth = Math.min(this.windowBytes, this.mostBytes - this.windowBytes);
      if (this.budget.take(growth)) {
        this.windowBytes += growth;
        credit += growth;
      }
    }
    this.allowedBytes += credit;
    return credit;
  }

  get sizeBytes(): number {
    return this.windowBytes;
  }

  /** Gives the growth back to the budget; the window is not used after. */
  release(): void {
    this.budget.give(this.windowBytes - INITIAL_WINDOW_BYTES);
    this.windowBytes = INITIAL_WINDOW_BYTES;
  }
}
