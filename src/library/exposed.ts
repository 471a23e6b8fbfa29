import type { RemoteForwardSpec } from "../core/forward.ts";
import type { EmbeddedAgent } from "../roles/embedded/agent.ts";
import type { HatchwayError } from "./error.ts";
import { refusalError } from "./failures.ts";
import type * as declared from "./hatchway.d.ts";
import { Kept } from "./kept.ts";

export interface ExposedMeans {
  readonly agent: EmbeddedAgent;
  readonly spec: RemoteForwardSpec;
  readonly signal: AbortSignal | undefined;
  /** Why the relay is away; null = it is not. */
  relayFailure(): HatchwayError | null;
}

/** Ports at the relay as an app sees them: what is told of their states are the differences. */
export class Exposed extends Kept<declared.ExposedEvent> implements declared.Exposed {
  readonly #means: ExposedMeans;
  readonly #unwatch: () => void;
  /** As it was when it was open last. */
  #endpoints: readonly declared.PublicEndpoint[];
  /** Why it is not open any more; null = it is. */
  #down: HatchwayError | null = null;

  /** It is open now. */
  constructor(means: ExposedMeans) {
    super(means.signal);
    this.#means = means;
    this.#endpoints = this.#answered() ?? [];
    this.#unwatch = means.agent.watchForwards((id) => {
      if (id === means.spec.remote.id) this.#look();
    });
  }

  get state(): declared.Exposed["state"] {
    if (this.isClosed) return "closed";
    return this.#down === null ? "open" : "lost";
  }

  get error(): HatchwayError | null {
    return this.failure ?? (this.isClosed ? null : this.#down);
  }

  get endpoints(): readonly declared.PublicEndpoint[] {
    return this.state === "open" ? this.#endpoints : [];
  }

  get visitors(): number {
    const held = this.#means.agent.forward(this.#means.spec.remote.id);
    return held?.kind === "remote" ? held.forward.visits.size : 0;
  }

  /** Null = it is not open. */
  #answered(): readonly declared.PublicEndpoint[] | null {
    const held = this.#means.agent.forward(this.#means.spec.remote.id);
    return held?.kind === "remote" && held.forward.answer.kind === "open" ? held.forward.answer.endpoints : null;
  }

  #look(): void {
    if (this.isClosed) return;
    const endpoints = this.#answered();
    if (endpoints !== null) {
      const [before, down] = [this.#endpoints, this.#down];
      this.#endpoints = endpoints;
      this.#down = null;
      if (down !== null) this.tell({ type: "reopened", endpoints, before });
      return;
    }
    const failure = this.#failureNow();
    if (failure === null || failure.message === this.#down?.message) return;
    // That what broke cannot be made again at once is none.
    const before = this.#down?.kind;
    const isNews = before !== failure.kind && !(before === "lost" && failure.kind === "unreachable");
    this.#down = failure;
    if (isNews) this.tell({ type: "lost", kind: failure.kind as declared.RelayFailureKind, message: failure.message });
  }

  /** Null = it is just being asked for. */
  #failureNow(): HatchwayError | null {
    const held = this.#means.agent.forward(this.#means.spec.remote.id);
    if (held?.kind !== "remote") return null;
    const { answer } = held.forward;
    return answer.kind === "refused" ? refusalError(answer.why, answer.message) : this.#means.relayFailure();
  }

  protected async end(): Promise<void> {
    this.#unwatch();
    await this.#means.agent.giveBack(this.#means.spec.remote.id);
  }
}
