/**
 * Which lane a stream's bytes travel on. Bulk has carriers of its own, so that an interactive stream never waits
 * behind it in a socket's buffer; a stream changes lane as its traffic does.
 */
export type Lane = "light" | "bulk";

/** This much within BURST_MS makes a stream bulk: more than any page or keystroke, less than the first window. */
const BULK_BYTES = 128 * 1024;
const BURST_MS = 100;
/** Less than this in a CALM_MS makes it light again. */
const CALM_BYTES = 32 * 1024;
const CALM_MS = 1000;

export class LaneChooser {
  private lane: Lane = "light";
  private sinceMs: number;
  private bytes = 0;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }

  /** Call before sending `bytes`; returns the lane to send them on. */
  next(bytes: number, nowMs: number): Lane {
    const spanMs = nowMs - this.sinceMs;
    if (this.lane === "light") {
      if (spanMs > BURST_MS) {
        this.sinceMs = nowMs;
        this.bytes = 0;
      }
      this.bytes += bytes;
      if (this.bytes > BULK_BYTES) this.turn("bulk", nowMs);
    } else {
      if (spanMs > CALM_MS) {
        if (this.bytes < CALM_BYTES) this.turn("light", nowMs);
        else {
          this.sinceMs = nowMs;
          this.bytes = 0;
        }
      }
      this.bytes += bytes;
    }
    return this.lane;
  }

  private turn(lane: Lane, nowMs: number): void {
    this.lane = lane;
    this.sinceMs = nowMs;
    this.bytes = 0;
  }
}

/** The least loaded of `carriers`, which are not empty; ties go to the first. Called per stream: allocates nothing. */
export function leastLoaded<T extends { readonly load: number }>(carriers: readonly T[]): T {
  let best = carriers[0] as T;
  for (let index = 1; index < carriers.length; index++) {
    const carrier = carriers[index] as T;
    if (carrier.load < best.load) best = carrier;
  }
  return best;
}
