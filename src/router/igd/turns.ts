import type { RouterFailure } from "../../core/router/model.ts";

/**
 * One request at a time: every known control point asks a router so, and small routers take no more. When one is not
 * answered, those that waited behind it are not either: each has the same answer at once, so that a router that went
 * away costs one deadline and not one for each port.
 */
export class Turns {
  readonly #waiting = new Set<(failure: RouterFailure | null) => void>();
  #busy = false;

  /** Null = it is the caller's turn, who ends it with `pass`. Otherwise there is none, and why. */
  async take(signal: AbortSignal, whenAborted: () => RouterFailure): Promise<RouterFailure | null> {
    if (signal.aborted) return whenAborted();
    if (!this.#busy) {
      this.#busy = true;
      return null;
    }
    const { promise, resolve } = Promise.withResolvers<RouterFailure | null>();
    const leave = (): void => {
      this.#waiting.delete(resolve);
      resolve(whenAborted());
    };
    this.#waiting.add(resolve);
    signal.addEventListener("abort", leave, { once: true });
    const failure = await promise;
    signal.removeEventListener("abort", leave);
    return failure;
  }

  /** `failure`: the request was not answered; null = it was, whatever the answer. */
  pass(failure: RouterFailure | null): void {
    if (failure !== null) {
      const behind = [...this.#waiting];
      this.#waiting.clear();
      for (const resolve of behind) resolve(failure);
    }
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#busy = false;
      return;
    }
    this.#waiting.delete(next);
    next(null);
  }
}
