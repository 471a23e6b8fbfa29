import { Backoff } from "../../core/backoff.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { type AgentTunnelOptions, type ConnectError, connectToRelay } from "../../dataplanes/tunnel/agent.ts";
import type { Session, SessionEvents } from "../../dataplanes/tunnel/session.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { ok, type Result } from "../../wire/result.ts";
import { type ControlMessage, type ControlOf, HANDOVER_FEATURE } from "../../wire/tunnel/control.ts";
import { pause } from "../pause.ts";

/** How often the machine's own addresses are compared with the session's: a changed one is seen long before a heartbeat is missed. */
const ADDRESS_CHECK_MS = 2_000;
/**
 * A device that is dialled through the relay may come to its new process later than this one: until then both are at the
 * old process, which waits longer than this before it lets anybody go.
 */
const DIAL_BEFORE_MS = 3_000;
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
      /**
       * untrusted: somebody else than the relay may have answered. broke: it was up until now. taken: another program has this
       * device's key. Absent: the relay could not be reached.
       */
      readonly cause?: DownCause;
    }
  /** The relay does not take this device: no further attempt. */
  | { readonly kind: "rejected"; readonly message: string };

export type DownCause = "untrusted" | "broke" | "taken";

interface Ended {
  readonly kind: "ended";
  readonly why: string;
  readonly atLeastMs: number;
  readonly cause?: DownCause;
}

export interface LinkEvents extends Pick<SessionEvents, "onStream" | "onFlow"> {
  onState(state: LinkState): void;
  onControl(session: Session, message: ControlMessage): void;
}

export interface LinkOptions extends Omit<AgentTunnelOptions, "events" | "relay" | "join" | "turnstile" | "features"> {
  /** Asked before each attempt: a reload may have changed it. */
  readonly relay: () => AgentTunnelOptions["relay"];
  /** The join code's secret until the device is enrolled. */
  readonly join: () => string | null;
  readonly sweeper: Sweeper;
  readonly events: LinkEvents;
  random(): number;
}

/** One session, and what it was told on the way. */
interface Connection {
  readonly session: Session;
  readonly welcome: ControlOf<"welcome">;
  readonly told: Told;
  /** Why it ended. */
  readonly ended: Promise<string>;
}

interface Told {
  bye: ControlOf<"bye">["why"] | null;
  /** Another process of the relay takes over. */
  readonly handover: PromiseWithResolvers<void>;
}

type Rejected = Extract<LinkState, { kind: "rejected" }>;

/** Keeps the agent connected to its relay: connects, notices the end, waits, connects again; and follows it to another process. */
export class Link {
  state: LinkState = { kind: "connecting" };
  readonly #options: LinkOptions;
  readonly #backoff = new Backoff();
  /** The session that was left last. */
  #left: { readonly session: Session; readonly untilMs: number } | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get session(): Session | null {
    return this.state.kind === "up" && this.state.session.ready ? this.state.session : null;
  }

  /** Where this agent opens streams of its own. */
  get dialSession(): Session | null {
    const left = this.#left;
    if (left?.session.ready && this.#options.nowMs() < left.untilMs) return left.session;
    return this.session;
  }

  /** Resolves on abort, or when the relay rejects the device. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#become({ kind: "connecting" });
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
        ...(message.cause === undefined ? {} : { cause: message.cause }),
      });
      await pause(retryInMs, signal);
    }
  }

  #become(state: LinkState): void {
    this.state = state;
    this.#options.events.onState(state);
  }

  /** From the first attempt to the end of the last session that followed from it. */
  async #connectedUntil(signal: AbortSignal): Promise<Ended | Rejected> {
    const first = await this.#connect(signal);
    if (!first.ok) return refusal(first.error);
    let connection = first.value;
    for (;;) {
      this.#up(connection);
      const why = await Promise.race([connection.ended, connection.told.handover.promise]);
      // The session before goes on until the process there has nothing more to send by it.
      const next = why === undefined ? await this.#follow(connection, signal) : null;
      if (next === null) return ending(connection.told.bye, await connection.ended, this.#options.random());
      this.#left = { session: connection.session, untilMs: this.#options.nowMs() + DIAL_BEFORE_MS };
      connection = next;
    }
  }

  #up({ session, welcome }: Connection): void {
    const nowMs = this.#options.nowMs();
    this.#backoff.connected(nowMs);
    const relayClockMs = welcome.timeMs === undefined ? null : welcome.timeMs - nowMs;
    this.#become({ kind: "up", session, welcome, sinceMs: this.#options.wallMs(), relayClockMs });
  }

  /** A session with the process that takes over; null = the one before ended first. */
  async #follow(before: Connection, signal: AbortSignal): Promise<Connection | null> {
    const backoff = new Backoff();
    const gone = new AbortController();
    void before.ended.then(() => gone.abort());
    const until = AbortSignal.any([signal, gone.signal]);
    while (!until.aborted) {
      // Not all agents of a relay at once.
      await pause(backoff.failed(this.#options.nowMs(), this.#options.random()), until);
      if (until.aborted) return null;
      const attempt = await this.#connect(signal);
      if (attempt.ok) return attempt.value;
    }
    return null;
  }

  async #connect(signal: AbortSignal): Promise<Result<Connection, ConnectError>> {
    const told: Told = { bye: null, handover: Promise.withResolvers<void>() };
    const ended = Promise.withResolvers<string>();
    const attempt = await connectToRelay(
      {
        ...this.#options,
        turnstile: this.#options.sweeper.turnstile,
        relay: this.#options.relay(),
        join: this.#options.join(),
        features: [HANDOVER_FEATURE],
        events: {
          onReady: () => undefined,
          onControl: (session, message) => this.#onControl(session, told, message),
          onStream: (session, request, stream) => this.#options.events.onStream(session, request, stream),
          onFlow: (session, request, flow) => this.#options.events.onFlow(session, request, flow),
          onClose: (_session, why) => ended.resolve(why),
        },
      },
      signal,
    );
    if (!attempt.ok) return attempt;
    const stop = this.#watch(attempt.value.session, signal);
    void ended.promise.then(stop);
    return ok({ ...attempt.value, told, ended: ended.promise });
  }

  #onControl(session: Session, told: Told, message: ControlMessage): void {
    if (message.t === "bye") told.bye = message.why;
    else if (message.t === "handover") told.handover.resolve();
    // Of a session that was left the answers come too late: all has been asked again.
    else if (this.state.kind !== "up" || this.state.session === session)
      this.#options.events.onControl(session, message);
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
    if (signal.aborted) onAbort();
    return () => {
      sweeper.remove(watch);
      signal.removeEventListener("abort", onAbort);
    };
  }
}

function ending(bye: ControlOf<"bye">["why"] | null, why: string, random: number): Ended | Rejected {
  switch (bye) {
    case "revoked":
      return { kind: "rejected", message: "The relay revoked this device: ask its operator for a new join code." };
    case "takeover":
      return {
        kind: "ended",
        why: "another program connected with this device's key",
        atLeastMs: TAKEOVER_PAUSE_MS * random,
        cause: "taken",
      };
    case "shutdown":
    case null:
      return { kind: "ended", why, atLeastMs: 0, cause: "broke" };
    default:
      return bye satisfies never;
  }
}

function refusal(error: ConnectError): Ended | Rejected {
  switch (error.kind) {
    case "unreachable":
      return { kind: "ended", why: error.message, atLeastMs: 0 };
    case "untrusted":
      // An attacker in between may go away; the agent has shown nothing and tries again.
      return { kind: "ended", why: error.message, atLeastMs: 5_000, cause: "untrusted" };
    case "denied":
      return {
        kind: "rejected",
        message: "The relay does not accept this device or join code: ask its operator for a new join code.",
      };
    default:
      return error satisfies never;
  }
}
