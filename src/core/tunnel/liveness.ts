/**
 * An application ping every PING_MS; a carrier that stayed silent over DEAD_PINGS of these intervals is dead
 * (tunnel.md "Liveness").
 */
export const PING_MS = 10_000;
export const DEAD_PINGS = 3;

export type LivenessAction = "none" | "ping" | "dead";

/**
 * One carrier's liveness and round-trip time. Any byte from the peer proves life; the driver calls `tick`.
 * A process that slept (suspended machine, stopped process) finds old silence at waking: it pings before it judges.
 */
export class Liveness {
  private heardMs: number;
  private pingedMs: number;
  private pingsSinceHeard = 0;
  /** When the ping was sent whose answer measures the round trip; null = none is awaited. */
  private awaitedMs: number | null = null;
  private smoothedMs: number | null = null;

  constructor(
    nowMs: number,
    private readonly pingMs = PING_MS,
  ) {
    this.heardMs = nowMs;
    this.pingedMs = nowMs;
  }

  heard(nowMs: number): void {
    this.heardMs = nowMs;
    this.pingsSinceHeard = 0;
  }

  /** A PING leaves that carries `nowMs`. */
  pinged(nowMs: number): void {
    this.pingedMs = nowMs;
    this.awaitedMs = nowMs;
    this.pingsSinceHeard++;
  }

  /** A PONG that carries the time of its PING: the round trip; null = it answers no PING of ours, and is ignored. */
  pong(sentMs: number, nowMs: number): number | null {
    if (sentMs !== this.awaitedMs) return null;
    this.awaitedMs = null;
    const sampleMs = Math.max(0, nowMs - sentMs);
    // RFC 6298 §2: alpha 1/8.
    this.smoothedMs = this.smoothedMs === null ? sampleMs : this.smoothedMs * 0.875 + sampleMs * 0.125;
    return sampleMs;
  }

  get rttMs(): number | null {
    return this.smoothedMs;
  }

  /** "ping": the driver sends one now, and says so by `pinged`. */
  tick(nowMs: number): LivenessAction {
    if (nowMs - this.pingedMs < this.pingMs) return "none";
    const silentMs = nowMs - this.heardMs;
    if (silentMs >= this.pingMs * DEAD_PINGS && this.pingsSinceHeard >= DEAD_PINGS - 1) return "dead";
    return "ping";
  }

  /** When `tick` has something to say next. */
  nextDeadlineMs(): number {
    return this.pingedMs + this.pingMs;
  }
}
