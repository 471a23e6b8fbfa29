import { Backoff, type BackoffOptions } from "../core/backoff.ts";
import type { Rung } from "../core/router/ladder.ts";
import type { Mapper, RouterFailure } from "../core/router/model.ts";
import { Quiet } from "../core/router/quiet.ts";
import type { Result } from "../wire/result.ts";

export interface RungLinkOptions {
  /** 0..1, evenly. */
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly onForgot: () => void;
  readonly onBack: () => void;
  /** The router is not ours any more. */
  readonly signal: AbortSignal;
}

/** What a router does not speak it may speak after a change of its settings: looked for again after 1 s, up to 30 s. */
const PROBE_AGAIN: BackoffOptions = {
  baseMs: 1000,
  maxMs: 30_000,
  goodAfterMs: 0,
  atOnceEveryMs: Number.POSITIVE_INFINITY,
};

/** One protocol of one router: whether it is spoken, and how often it may be asked while it does not answer. */
export class RungLink {
  readonly #options: RungLinkOptions;
  readonly #quiet = new Quiet();
  readonly #backoff = new Backoff(PROBE_AGAIN);
  #mapper: Mapper | null = null;
  #failure: RouterFailure | null = null;
  #nextProbeMs = 0;
  #stopHearing: (() => void) | null = null;

  constructor(options: RungLinkOptions) {
    this.#options = options;
  }

  get known(): Rung {
    if (this.#mapper !== null) return "answers";
    return this.#failure === null || this.#options.nowMs() >= this.#nextProbeMs ? "unknown" : this.#failure;
  }

  probed(result: Result<Mapper, RouterFailure>): void {
    const { nowMs, random, signal, onBack } = this.#options;
    if (!result.ok) {
      this.#failure = result.error;
      this.#nextProbeMs = nowMs() + this.#backoff.failed(nowMs(), (1 + random()) / 2);
    } else if (signal.aborted || this.#mapper !== null) result.value.close();
    else {
      this.#mapper = result.value;
      if (this.#failure !== null) onBack();
    }
  }

  /** Hears from now on when the router lost its mappings. */
  listen(): void {
    if (this.#mapper === null || this.#stopHearing !== null) return;
    this.#stopHearing = this.#mapper.onForgot(() => {
      if (!this.#options.signal.aborted) this.#options.onForgot();
    });
  }

  /** `calledOff` ends `act`, too; `urgent`: it is asked even in a silence. Null = it was not asked. */
  async request<T>(
    act: (mapper: Mapper) => Promise<Result<T, RouterFailure>>,
    calledOff: AbortSignal,
    urgent: boolean,
  ): Promise<Result<T, RouterFailure> | null> {
    const { nowMs, random, onBack } = this.#options;
    if (this.#mapper === null) return this.#failure === null ? null : { ok: false, error: this.#failure };
    const quiet = urgent ? null : this.#quiet.admit(nowMs());
    if (quiet !== null) return { ok: false, error: quiet };
    let result: Result<T, RouterFailure> | null = null;
    try {
      result = await act(this.#mapper);
    } finally {
      // What was called off, or broke, says nothing of the router.
      if (result === null || (!result.ok && calledOff.aborted)) this.#quiet.abandoned();
      else if (this.#quiet.ended(result.ok ? null : result.error, nowMs(), random())) onBack();
    }
    return result;
  }

  close(): void {
    this.#stopHearing?.();
    this.#mapper?.close();
    this.#mapper = null;
  }
}
