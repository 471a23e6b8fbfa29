import { ApiFailure, type ChecksBackend, type Principal } from "../../servers/api/backend.ts";
import type { PingEvent } from "../../servers/api/schema.ts";
import type { Clock } from "../ping/probe.ts";
import type { RelayView } from "../relay/control.ts";
import { heldBy } from "./forwards.ts";
import { checkName, type NameCheckOptions } from "./name-check.ts";
import { pingRun } from "./ping.ts";
import type { AskRouter } from "./router.ts";

export interface ConsoleChecksOptions {
  readonly relay: RelayView;
  readonly clock: Clock;
  readonly askRouter: AskRouter;
  readonly names: NameCheckOptions;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/** What people have measured at the relay. */
export class ConsoleChecks implements ChecksBackend {
  readonly #options: ConsoleChecksOptions;
  /** The run that is under way, by credential. */
  readonly #runs = new Map<string, AbortController>();

  constructor(options: ConsoleChecksOptions) {
    this.#options = options;
  }

  async pingForward(who: Principal, id: string, samples: number) {
    const { relay } = this.#options;
    const { owner, spec } = heldBy(relay, who, id);
    if (!spec.enabled) throw new ApiFailure("conflict", `"${spec.name}" is off: turn it on, then measure it.`);
    const tcp = spec.ports.find(({ protocol }) => protocol === "tcp");
    if (tcp === undefined) {
      throw new ApiFailure(
        "conflict",
        `"${spec.name}" is UDP, where a service need not answer: measure it with its own program, or "hatchway ping" on the device.`,
      );
    }
    return (signal: AbortSignal) => this.#run(who, owner.device, spec.id, { port: tcp.first, samples }, signal);
  }

  checkName(who: Principal, host: string) {
    return checkName(this.#options.names, who, host);
  }

  askRouter(_who: Principal, signal: AbortSignal) {
    return this.#options.askRouter(signal);
  }

  async *#run(
    who: Principal,
    device: string,
    specId: string,
    about: { readonly port: number; readonly samples: number },
    signal: AbortSignal,
  ): AsyncGenerator<PingEvent, void, void> {
    const { relay, clock, signal: ending } = this.#options;
    this.#runs.get(who.credentialId)?.abort();
    const run = new AbortController();
    this.#runs.set(who.credentialId, run);
    try {
      yield* pingRun({
        ...about,
        link: () => relay.session(device),
        // Asked each time: the forward may have gone, or its device have come back.
        handle: () => {
          const held = relay.forwards.get(device, specId);
          const member = held === null ? undefined : relay.forwards.entryOf(held)?.members.get(device);
          return member?.handle ?? null;
        },
        clock,
        wallMs: relay.wallMs,
        signal: AbortSignal.any([signal, run.signal, ending]),
      });
    } finally {
      if (this.#runs.get(who.credentialId) === run) this.#runs.delete(who.credentialId);
    }
  }
}
