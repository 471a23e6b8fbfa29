/** An application ping every PING_MS; a carrier that stayed silent for DEAD_PINGS of them is dead (tunnel.md "Liveness"). */
export const PING_MS = 10_000;
export const DEAD_PINGS = 3;

export type LivenessAction = "none" | "ping" | "dead";

/** One carrier's liveness and round-trip time. Any byte from the peer proves life; the driver calls `tick`. */
export class Liveness {
  private heardMs: number;
  private pingedMs: number;
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
  }

  /** A PONG that carries the time of its PING. */
  pong(sentMs: number, nowMs: number): void {
    const sampleMs = nowMs - sentMs;
    if (sampleMs < 0) return;
    // RFC 6298 §2: alpha 1/8.
    this.smoothedMs = this.smoothedMs === null ? sampleMs : this.smoothedMs * 0.875 + sampleMs * 0.125;
  }

  get rttMs(): number | null {
    return this.smoothedMs;
  }

  tick(nowMs: number): LivenessAction {
    if (nowMs - this.heardMs >= this.pingMs * DEAD_PINGS) return "dead";
    if (nowMs - this.pingedMs < this.pingMs) return "none";
    this.pingedMs = nowMs;
    return "ping";
  }

  nextDeadlineMs(): number {
    return Math.min(this.pingedMs + this.pingMs, this.heardMs + this.pingMs * DEAD_PINGS);
  }
}
