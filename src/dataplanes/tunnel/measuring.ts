import type { Carrier } from "./carrier.ts";

/** Who waits for a fresh round trip of which carrier. */
export class Measuring {
  private readonly waiting = new Set<{ readonly carrier: Carrier; readonly done: (ms: number | null) => void }>();

  /** The next round trip of the carrier; null = none comes any more. */
  next(carrier: Carrier): Promise<number | null> {
    const { promise, resolve: done } = Promise.withResolvers<number | null>();
    this.waiting.add({ carrier, done });
    return promise;
  }

  measured(carrier: Carrier, ms: number): void {
    for (const one of this.waiting) {
      if (one.carrier !== carrier) continue;
      this.waiting.delete(one);
      one.done(ms);
    }
  }

  end(): void {
    for (const { done } of this.waiting) done(null);
    this.waiting.clear();
  }
}
