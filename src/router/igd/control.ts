import type { RouterFailure } from "../../core/router/model.ts";
import type { ActionCall, OutputsFor } from "../../wire/igd/actions.ts";
import { err, type Result } from "../../wire/result.ts";
import type { IgdSite } from "./discovery.ts";
import { calledOff } from "./failures.ts";
import { type CallError, type Control, hasMoved, type Transport } from "./transport.ts";
import { Turns } from "./turns.ts";

export interface IgdControlOptions {
  readonly transport: Transport;
  readonly site: IgdSite;
  /** Finds the router anew: it may have started again, on another port and with other paths, as miniupnpd does. */
  readonly find: (signal: AbortSignal) => Promise<Result<IgdSite, RouterFailure>>;
  /** It was found anew. */
  readonly onFound: (site: IgdSite) => void;
  /** Milliseconds that never go backwards. */
  readonly nowMs: () => number;
  /** Ends everything that is under way. */
  readonly signal: AbortSignal;
}

/** A router that was not found anew is not looked for again at once: each search takes seconds. */
const FIND_AGAIN_MS = 5000;

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Of this machine, that the router shall see; absent = the one on the router's network. */
  readonly localAddress?: string;
}

/** The router's actions, one at a time, wherever they are now. */
export class IgdControl {
  readonly #options: IgdControlOptions;
  readonly #turns = new Turns();
  #site: IgdSite;
  #notFoundMs = Number.NEGATIVE_INFINITY;

  constructor(options: IgdControlOptions) {
    this.#options = options;
    this.#site = options.site;
  }

  get site(): IgdSite {
    return this.#site;
  }

  get router(): string {
    return this.#options.transport.router;
  }

  async call<C extends ActionCall>(call: C, options: CallOptions): Promise<Result<OutputsFor<C>, CallError>> {
    return this.#inTurn(options.signal, (signal) =>
      this.#ask(call, signal, (control) => this.#options.transport.call(control, call, signal, options.localAddress)),
    );
  }

  /** The outputs as written, for actions that routers answer freely. */
  async callForTexts(call: ActionCall, options: CallOptions): Promise<Result<ReadonlyMap<string, string>, CallError>> {
    return this.#inTurn(options.signal, (signal) =>
      this.#ask(call, signal, (control) =>
        this.#options.transport.callForTexts(control, call, signal, options.localAddress),
      ),
    );
  }

  async #inTurn<T>(
    callerSignal: AbortSignal,
    act: (signal: AbortSignal) => Promise<Result<T, CallError>>,
  ): Promise<Result<T, CallError>> {
    const signal = AbortSignal.any([callerSignal, this.#options.signal]);
    const refused = await this.#turns.take(signal, () => calledOff(this.router));
    if (refused !== null) return err({ kind: "failed", failure: refused });
    let unanswered: RouterFailure | null = null;
    try {
      const result = await act(signal);
      // One that was called off says nothing about the router.
      if (!result.ok && result.error.kind === "failed" && !signal.aborted)
        unanswered = unansweredBy(result.error.failure);
      return result;
    } finally {
      this.#turns.pass(unanswered);
    }
  }

  async #ask<T>(
    call: ActionCall,
    signal: AbortSignal,
    ask: (control: Control) => Promise<Result<T, CallError>>,
  ): Promise<Result<T, CallError>> {
    const control = controlFor(call, this.#site);
    if (control === null) return err({ kind: "failed", failure: withoutService(call, this.router) });
    const result = await ask(control);
    if (result.ok || result.error.kind === "fault" || !hasMoved(result.error.failure)) return result;
    const moved = await this.#findAgain(signal);
    const now = moved ? controlFor(call, this.#site) : null;
    return now === null ? result : ask(now);
  }

  async #findAgain(signal: AbortSignal): Promise<boolean> {
    const { find, onFound, nowMs } = this.#options;
    if (nowMs() - this.#notFoundMs < FIND_AGAIN_MS) return false;
    const site = await find(signal);
    if (!site.ok) {
      this.#notFoundMs = nowMs();
      return false;
    }
    this.#site = site.value;
    onFound(site.value);
    return true;
  }
}

function unansweredBy(failure: RouterFailure): RouterFailure | null {
  return failure.kind === "silent" || failure.kind === "closed" ? failure : null;
}

function controlFor({ service }: ActionCall, site: IgdSite): Control | null {
  switch (service) {
    case "WANIPConnection":
      return site.connection?.control ?? null;
    case "WANIPv6FirewallControl":
      return site.firewall;
    // Of these there is nothing that a client needs.
    case "WANCommonInterfaceConfig":
    case "Layer3Forwarding":
      return null;
    default:
      return service satisfies never;
  }
}

function withoutService({ service }: ActionCall, router: string): RouterFailure {
  const message =
    service === "WANIPv6FirewallControl"
      ? `The router at ${router} makes no IPv6 pinholes by UPnP; open the port on its page.`
      : `The router at ${router} maps no ports by UPnP; forward the port on its page.`;
  return { kind: "unsupported", code: null, message };
}

/** A call that was not done, as a failure: `ofFault` says what a fault means. */
export function failureOf(
  error: CallError,
  ofFault: (fault: Extract<CallError, { readonly kind: "fault" }>["fault"]) => RouterFailure,
): RouterFailure {
  return error.kind === "fault" ? ofFault(error.fault) : error.failure;
}
