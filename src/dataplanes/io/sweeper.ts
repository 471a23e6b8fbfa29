import { Descriptors } from "./descriptors.ts";
import { Turnstile } from "./turnstile.ts";
import { UdpOutbox } from "./udp-outbox.ts";

/** Something with deadlines that may be noticed up to one interval late. */
export interface Sweepable {
  /** `nowMs` is monotonic (`Sweeper.nowMs`). */
  sweep(nowMs: number): void;
}

/**
 * What the connections of a process share over time: one timer for all coarse deadlines (idle visits and flows, dials
 * without an answer), the turns of its bulk readers, the datagrams of a turn, and its file descriptors.
 */
export interface Sweeper {
  readonly turnstile: Turnstile;
  readonly outbox: UdpOutbox;
  readonly descriptors: Descriptors;
  /** Milliseconds, monotonic. */
  nowMs(): number;
  add(item: Sweepable): void;
  remove(item: Sweepable): void;
}

/** Sweeps every `intervalMs` until `signal` aborts, and never when it has. The timer does not keep the process alive. */
export function startSweeper(signal: AbortSignal, intervalMs = 1_000): Sweeper {
  const items = new Set<Sweepable>();
  if (!signal.aborted) {
    const timer = setInterval(() => {
      const nowMs = performance.now();
      for (const item of items) item.sweep(nowMs);
    }, intervalMs);
    timer.unref();
    // Of a signal that was aborted before, nothing would be heard.
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }
  return {
    turnstile: new Turnstile(),
    outbox: new UdpOutbox(),
    descriptors: new Descriptors(),
    nowMs: () => performance.now(),
    add: (item) => void items.add(item),
    remove: (item) => void items.delete(item),
  };
}
