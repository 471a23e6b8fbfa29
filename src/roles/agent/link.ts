import { Backoff } from "../../core/backoff.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { type AgentTunnelOptions, type ConnectError, connectToRelay } from "../../dataplanes/tunnel/agent.ts";
import type { Session, SessionEvents } from "../../dataplanes/tunnel/session.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import type { ControlMessage, ControlOf } from "../../wire/tunnel/control.ts";
import { pause } from "../pause.ts";

/** How often the machine's own addresses are compared with the session's: a changed one is seen long before a heartbeat is missed. */
const ADDRESS_CHECK_MS = 2_000;
/** After another program took the device's session over: long enough that two of them do not fight. */
const TAKEOVER_PAUSE_MS = 30_000;

export type LinkState =
  /** This agent has no relay, and wants none. */
  | { readonly kind: "none" }
  | { readonly kind: "connecting" }
  | {
      readonly kind: "up";
      readonly session: Session;
      readonly welcome: ControlOf<"welcome">;
      readonly sinceMs: number;
      /** The relay's clock less the monotonic one of this process; null = the relay does not tell its time. */
      readonly relayClockMs: number | null;
    }
  | {
      readonly kind: "down";
      readonly message: string;
      readonly retryInMs: number;
      /** Somebody else than the relay may have answered. */
      readonly untrusted?: boolean;
    }
  /** The relay does not take this device: no further attempt. */
  | { readonly kind: "rejected"; readonly message: string };

interface Ended {
  readonly kind: "ended";
  readonly why: string;
  readonly atLeastMs: number;
  readonly untrusted?: boolean;
}

export interface LinkEvents extends Pick<SessionEvents, "onStream" | "onFlow"> {
  onState(state: LinkState): void;
  onControl(session: Session, message: ControlMessage): void;
}

export interface LinkOptions extends Omit<AgentTunnelOptions, "events" | "relay" | "join" | "turnstile"> {
  /** Asked before each attempt: a reload may have changed it. */
  readonly relay: () => AgentTunnelOptions["relay"];
  /** The join code's secret until the device is enrolled. */
  readonly join: () => string | null;
  readonly sweeper: Sweeper;
  readonly events: LinkEvents;
  random(): number;
}

/** Keeps the agent connected to its relay: connects, notices the end, waits, connects again. */
export class Link {
  state: LinkState = { kind: "connecting" };
  readonly #options: LinkOptions;
  readonly #backoff = new Backoff();
  #bye: ControlOf<"bye">["why"] | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get session(): Session | null {
    return this.state.kind === "up" && this.state.session.ready ? this.state.session : null;
  }

  /** Resolves on abort, or when the relay rejects the device. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#become({ kind: "connecting" });
      this.#bye = null;
      const message = await this.#connectedUntil(signal);
      if (signal.aborted) return;
      if (message.kind === "rejected") {
        this.#become(message);
        return;
      }
      const nowMs = this.#options.nowMs();
      const backoffMs = this.#backoff.failed(nowMs, this.#options.random());
      const retryInMs = Math.max(backoffMs, message.atLeastMs);
      this.#become({
        kind: "down",
        message: message.why,
        retryInMs,
        ...(message.untrusted === true ? { untrusted: true } : {}),
      });
      await pause(retryInMs, signal);
    }
  }

  #become(state: LinkState): void {
    this.state = state;
    this.#options.events.onState(state);
  }

  /** One connection, from the first attempt to its end. */
  async #connectedUntil(signal: AbortSignal): Promise<Ended | Extract<LinkState, { kind: "rejected" }>> {
    const ended = Promise.withResolvers<string>();
    const attempt = await connectToRelay(
      {
        ...this.#options,
        turnstile: this.#options.sweeper.turnstile,
        relay: this.#options.relay(),
        join: this.#options.join(),
        events: {
          onReady: () => undefined,
          onControl: (session, message) => this.#onControl(session, message),
          onStream: (session, request, stream) => this.#options.events.onStream(session, request, stream),
          onFlow: (session, request, flow) => this.#options.events.onFlow(session, request, flow),
          onClose: (_session, why) => ended.resolve(why),
        },
      },
      signal,
    );
    if (!attempt.ok) return refusal(attempt.error);
    const { session, welcome } = attempt.value;
    const nowMs = this.#options.nowMs();
    this.#backoff.connected(nowMs);
    const relayClockMs = welcome.timeMs === undefined ? null : welcome.timeMs - nowMs;
    this.#become({ kind: "up", session, welcome, sinceMs: this.#options.wallMs(), relayClockMs });
    const stop = this.#watch(session, signal);
    const why = await ended.promise;
    stop();
    switch (this.#bye) {
      case "revoked":
        return { kind: "rejected", message: "The relay revoked this device: ask its operator for a new join code." };
      case "takeover":
        return {
          kind: "ended",
          why: "another program connected with this device's key",
          atLeastMs: TAKEOVER_PAUSE_MS * this.#options.random(),
        };
      case "shutdown":
      case null:
        return { kind: "ended", why, atLeastMs: 0 };
      default:
        return this.#bye satisfies never;
    }
  }

  #onControl(session: Session, message: ControlMessage): void {
    if (message.t === "bye") this.#bye = message.why;
    else this.#options.events.onControl(session, message);
  }

  /** Heartbeats, the machine's own addresses, and the abort. */
  #watch(session: Session, signal: AbortSignal): () => void {
    const onAbort = () => session.close("the agent is shutting down", true);
    const { sweeper } = this.#options;
    let nextCheckMs = sweeper.nowMs() + ADDRESS_CHECK_MS;
    const watch = {
      sweep: (nowMs: number) => {
        session.tick(this.#options.nowMs());
        if (nowMs < nextCheckMs) return;
        nextCheckMs = nowMs + ADDRESS_CHECK_MS;
        if (ownAddresses().some((own) => own.address === session.localAddress)) return;
        session.close(`the address ${session.localAddress} is no longer this machine's`);
      },
    };
    sweeper.add(watch);
    signal.addEventListener("abort", onAbort, { once: true });
    return () => {
      sweeper.remove(watch);
      signal.removeEventListener("abort", onAbort);
    };
  }
}

function refusal(error: ConnectError): Ended | Extract<LinkState, { kind: "rejected" }> {
  switch (error.kind) {
    case "unreachable":
      return { kind: "ended", why: error.message, atLeastMs: 0 };
    case "untrusted":
      // An attacker in between may go away; the agent has shown nothing and tries again.
      return { kind: "ended", why: error.message, atLeastMs: 5_000, untrusted: true };
    case "denied":
      return {
        kind: "rejected",
        message: "The relay does not accept this device or join code: ask its operator for a new join code.",
      };
    default:
      return error satisfies never;
  }
}
