import type { LocalForwardSpec } from "../core/forward.ts";
import type { EmbeddedAgent } from "../roles/embedded/agent.ts";
import type * as declared from "./hatchway.d.ts";
import { Kept } from "./kept.ts";

/** Ports of this machine as an app sees them. */
export class Listening extends Kept<never> implements declared.Listening {
  readonly host: string;
  readonly port: number;
  readonly lastPort: number;
  readonly #agent: EmbeddedAgent;
  readonly #id: string;

  /** It is open now. */
  constructor(agent: EmbeddedAgent, { local }: LocalForwardSpec, signal: AbortSignal | undefined) {
    super(signal);
    this.#agent = agent;
    this.#id = local.id;
    const ports = (this.#entry?.ports ?? []).map(({ endpoint }) => endpoint.port);
    this.host = local.bind;
    this.port = Math.min(...ports);
    this.lastPort = Math.max(...ports);
  }

  get state(): declared.Listening["state"] {
    return this.isClosed ? "closed" : "open";
  }

  get visitors(): number {
    return this.#entry?.visits.size ?? 0;
  }

  get #entry() {
    const held = this.#agent.forward(this.#id);
    return held?.kind === "local" ? held.forward?.entry : undefined;
  }

  protected end(): Promise<void> {
    return this.#agent.giveBack(this.#id);
  }
}
