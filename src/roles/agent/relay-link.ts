import { WindowBudget } from "../../core/tunnel/window.ts";
import type { ByteEnd, FlowEnd } from "../../dataplanes/io/ends.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { CertificatePair } from "../../dataplanes/tunnel/tls.ts";
import { monotonicMs, nowMs as wallMs } from "../../os/clock.ts";
import type { DeviceKey } from "../../os/device-key.ts";
import { messageOf } from "../../os/errors.ts";
import { areaLogger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import type { AgentState } from "../../store/agent-state.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { ControlMessage, ControlOf } from "../../wire/tunnel/control.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import { type AgentSettings, ControlError } from "../control.ts";
import { subscribe } from "../subscribe.ts";
import { type Identity, trustOf } from "./identity.ts";
import { Link, type LinkState } from "./link.ts";
import { Requests } from "./requests.ts";

/** Windows beyond the first 256 KiB of every stream, all streams of the process together (tunnel.md "Windows"). */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;

export interface RelayLinkOptions {
  readonly identity: Identity;
  readonly key: DeviceKey;
  /** Where the enrolment is kept. */
  readonly state: Pick<AgentState, "enrol">;
  readonly settings: () => Pick<AgentSettings, "relay">;
  /** PEM of the CA of a relay with a certificate of its own. */
  readonly ca: string | null;
  readonly clientCertificate: CertificatePair | null;
  readonly sweeper: Sweeper;
  /** The relay answers from now on, until `onDown`. `features`: what it understands beyond the first messages. */
  onUp(requests: Requests, features: readonly string[]): void;
  onDown(): void;
  /** Resolves to false when the message breaks the protocol. */
  onAssigned(message: ControlOf<"assigned">): Promise<boolean>;
  onStream(request: OpenRequest, stream: ByteEnd): void;
  onFlow(request: OpenRequest, flow: FlowEnd): void;
}

/** An agent's place at its relay: who it is there, whether it is connected, and what it may ask. */
export class RelayLink {
  readonly #log = areaLogger("agent");
  readonly #options: RelayLinkOptions;
  readonly #link: Link;
  readonly #watchers = new Set<(state: LinkState) => void>();
  #identity: Identity;
  #requests: Requests | null = null;
  #run: Promise<void> = Promise.resolve();

  constructor(options: RelayLinkOptions) {
    this.#options = options;
    this.#identity = options.identity;
    const { key, ca, clientCertificate, sweeper } = options;
    this.#link = new Link({
      relay: () => this.relay,
      trust: trustOf(options.identity.enrolment, ca),
      clientCertificate,
      publicKey: key.publicKey,
      sign: (message) => key.sign(message),
      join: () => this.#identity.secret,
      version: VERSION,
      budget: new WindowBudget(WINDOW_BUDGET_BYTES),
      sweeper,
      nowMs: monotonicMs,
      wallMs,
      random: Math.random,
      events: {
        onState: (state) => this.#onState(state),
        onControl: (session, message) => this.#onControl(session, message),
        onStream: (_session, request, stream) => options.onStream(request, stream),
        onFlow: (_session, request, flow) => options.onFlow(request, flow),
      },
    });
  }

  get state(): LinkState {
    return this.#link.state;
  }

  get session(): Session | null {
    return this.#link.session;
  }

  /** See Link. */
  get dialSession(): Session | null {
    return this.#link.dialSession;
  }

  /** Null while there is no connection. */
  get requests(): Requests | null {
    return this.#requests;
  }

  get relay(): HostPort {
    return this.#options.settings().relay ?? this.#identity.enrolment.relay;
  }

  /** Empty until the relay said it. */
  get deviceName(): string {
    return this.#identity.deviceName ?? "";
  }

  watch(watch: (state: LinkState) => void): () => void {
    return subscribe(this.#watchers, watch);
  }

  /** Connects, and connects again, until the signal aborts. Rejects with ControlError `refused` when the relay rejects the device. */
  run(signal: AbortSignal): Promise<void> {
    this.#run = this.#link.run(signal);
    return this.#run.then(() => {
      if (this.state.kind === "rejected") throw new ControlError("refused", this.state.message);
    });
  }

  /** With a join code: the outcome of the first attempt, which is on the disk when this resolves. Without one: nothing. */
  async enrolled(): Promise<void> {
    if (this.#identity.secret === null) return;
    const first = Promise.withResolvers<LinkState>();
    const unwatch = this.watch((state) => {
      if (state.kind !== "connecting") first.resolve(state);
    });
    const state = await Promise.race([first.promise, this.#run.then(() => this.state)]);
    unwatch();
    switch (state.kind) {
      case "up":
        await this.#enrol(state.welcome.device);
        return;
      case "down":
        throw new ControlError("unreachable", `The relay could not be reached: ${state.message}.`);
      case "rejected":
        throw new ControlError("refused", state.message);
      case "none":
      case "connecting":
        throw new ControlError("unreachable", "The agent was stopped before it had joined.");
      default:
        return state satisfies never;
    }
  }

  async #enrol(deviceName: string): Promise<void> {
    const { enrolment } = this.#identity;
    const stored = await this.#options.state.enrol({ ...enrolment, deviceName });
    if (!stored.ok) throw new ControlError("usage", stored.error.message, { cause: stored.error.cause });
    this.#identity = { enrolment, deviceName, secret: null };
  }

  #onState(state: LinkState): void {
    switch (state.kind) {
      case "up": {
        this.#log.info("connected to the relay", { relay: state.session.peer.name, device: state.welcome.device });
        // Of a session that it followed: what was not answered there is asked again here.
        this.#requests?.sessionEnded();
        this.#requests = new Requests(state.session);
        this.#options.onUp(this.#requests, state.welcome.features ?? []);
        break;
      }
      case "down":
        this.#log.warn("no connection to the relay: {why}", {
          why: state.message,
          retryInMs: Math.round(state.retryInMs),
        });
        this.#down();
        break;
      case "rejected":
        this.#log.error("{message}", { message: state.message });
        this.#down();
        break;
      case "none":
      case "connecting":
        break;
      default:
        state satisfies never;
    }
    for (const watch of [...this.#watchers]) watch(state);
  }

  #down(): void {
    this.#requests = null;
    this.#options.onDown();
  }

  #onControl(session: Session, message: ControlMessage): void {
    if (message.t === "result") this.#requests?.answered(message);
    else if (message.t === "assigned") void this.#assigned(session, message);
    else session.close(`the relay sent ${message.t}, which was not asked for`);
  }

  async #assigned(session: Session, message: ControlOf<"assigned">): Promise<void> {
    try {
      if (!(await this.#options.onAssigned(message))) session.close("the relay sent parts of assigned out of turn");
    } catch (error) {
      this.#log.error("what the relay assigned could not be taken up: {error}", { error: messageOf(error) });
    }
  }
}
