import type { ExitRule } from "../core/exit-rule.ts";
import { WindowBudget } from "../core/tunnel/window.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { directExit } from "../dataplanes/direct/exit.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import type { ByteEnd, FlowEnd } from "../dataplanes/io/ends.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import type { Session } from "../dataplanes/tunnel/session.ts";
import type { RelayTrust } from "../dataplanes/tunnel/tls.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { type DeviceKey, loadOrCreateDeviceKey } from "../os/device-key.ts";
import type { FileError } from "../os/files.ts";
import { areaLogger } from "../os/log.ts";
import { openDataDirectory } from "../os/paths.ts";
import { VERSION } from "../os/version.ts";
import { serveAgentControl } from "../servers/local/server.ts";
import { type AgentState, type Enrolment, openAgentState } from "../store/agent-state.ts";
import { decodeJoinCode } from "../wire/join-code.ts";
import type { Result } from "../wire/result.ts";
import type { ControlMessage } from "../wire/tunnel/control.ts";
import type { OpenRequest } from "../wire/tunnel/open.ts";
import { agentControl } from "./agent/control.ts";
import { DialledVisits } from "./agent/dialled.ts";
import { AgentForwards } from "./agent/forwards.ts";
import { Link, type LinkState } from "./agent/link.ts";
import { Requests } from "./agent/requests.ts";
import { type AgentSettings, ControlError, type LinkEvent, type RunningAgent, type StartAgent } from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { LiveExitPolicy } from "./exits.ts";

/** Windows beyond the first 256 KiB of every stream, all streams of the process together (tunnel.md "Windows"). */
const WINDOW_BUDGET_BYTES = 96 * 1024 * 1024;
const DRAIN_MS = 10_000;

/** Runs an agent: connected to its relay, serving what its config lists, what was added and what is attached. */
export const startAgent: StartAgent = async ({ dataDir, joinCode, readSettings, runListed }) => {
  refuseUnsafeEnvironment();
  const paths = unwrap(await openDataDirectory(dataDir));
  const key = unwrap(await loadOrCreateDeviceKey(dataDir));
  const state = unwrap(await openAgentState(dataDir));
  const settings = await readSettings();
  const identity = identityOf(joinCode, state);
  const agent = new Agent({ key, state, settings, readSettings, identity, runListed });
  await agent.start(paths.agentSocket);
  return agent.running();
};

function unwrap<T>(result: Result<T, FileError>): T {
  if (result.ok) return result.value;
  throw new ControlError("usage", result.error.message, { cause: result.error.cause });
}

/** Which relay this agent belongs to, and the one-time secret when it is to join now. */
interface Identity {
  readonly enrolment: Omit<Enrolment, "deviceName">;
  readonly deviceName: string | null;
  readonly secret: string | null;
}

function identityOf(joinCode: string | null, state: AgentState): Identity {
  if (joinCode === null) {
    const enrolment = state.enrolment();
    if (enrolment !== null) return { enrolment, deviceName: enrolment.deviceName, secret: null };
    throw new ControlError(
      "usage",
      'This agent has not joined a relay yet: run "hatchway join-code create --name NAME" beside the relay, then "hatchway agent --join CODE" here.',
    );
  }
  const code = decodeJoinCode(joinCode);
  if (!code.ok) throw new ControlError("usage", code.error.message);
  const { relay, trust, fingerprint, secret } = code.value;
  return {
    enrolment: { relay, trust, fingerprint },
    deviceName: null,
    secret: Buffer.from(secret).toString("base64url"),
  };
}

interface AgentOptions {
  readonly key: DeviceKey;
  readonly state: AgentState;
  readonly settings: AgentSettings;
  readonly readSettings: () => Promise<AgentSettings>;
  readonly identity: Identity;
  readonly runListed: boolean;
}

class Agent {
  readonly #log = areaLogger("agent");
  readonly #options: AgentOptions;
  readonly #ended = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly #sweeper = startSweeper(this.#abort.signal);
  readonly #dials = new Dials(this.#sweeper);
  readonly #resolver = systemResolver();
  readonly #startedMs = wallMs();
  readonly #watchers = new Set<(state: LinkState) => void>();
  readonly #changes = new Set<(id: string) => void>();
  readonly #exitPolicy: LiveExitPolicy;
  readonly #dialled: DialledVisits;
  readonly #forwards: AgentForwards;
  readonly #link: Link;
  #settings: AgentSettings;
  #identity: Identity;
  #requests: Requests | null = null;
  #local: { close(): Promise<void> } | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#identity = options.identity;
    this.#exitPolicy = new LiveExitPolicy({
      rules: () => this.#settings.allow,
      exposed: () => this.#exposedRules(),
      nowMs: monotonicMs,
      onRefused: ({ message }) => this.#log.info("{message}", { message }),
    });
    const dialExit = directExit({
      target: (visit) => visit.destination ?? null,
      allows: this.#exitPolicy,
      resolver: this.#resolver,
      dials: this.#dials,
      proxyProtocol: () => null,
    });
    this.#dialled = new DialledVisits(dialExit, this.#sweeper);
    this.#forwards = new AgentForwards({
      plane: {
        sweeper: this.#sweeper,
        dials: this.#dials,
        resolver: this.#resolver,
        allows: this.#exitPolicy,
        session: () => this.#link.session,
      },
      random: Math.random,
      onChange: (id) => {
        this.#exitPolicy.changed();
        for (const changed of [...this.#changes]) changed(id);
      },
    });
    this.#link = this.#makeLink();
  }

  #exposedRules(): ExitRule[] {
    return this.#forwards.exposed().map(({ to, spec }) => ({
      host: to,
      ports: spec.ports.map(({ protocol, first, last, internalFirst }) => ({
        protocol,
        first: internalFirst,
        last: internalFirst + last - first,
        internalFirst,
      })),
    }));
  }

  #makeLink(): Link {
    const { key } = this.#options;
    const { enrolment } = this.#identity;
    return new Link({
      relay: () => this.#settings.relay ?? enrolment.relay,
      trust: trustOf(enrolment),
      clientCertificate: null,
      publicKey: key.publicKey,
      sign: (message) => key.sign(message),
      join: () => this.#identity.secret,
      version: VERSION,
      budget: new WindowBudget(WINDOW_BUDGET_BYTES),
      nowMs: monotonicMs,
      wallMs,
      random: Math.random,
      events: {
        onState: (state) => this.#onLink(state),
        onControl: (session, message) => this.#onControl(session, message),
        onStream: (_session, request, stream) => this.#onStream(request, stream),
        onFlow: (_session, request, flow) => this.#onFlow(request, flow),
      },
    });
  }

  /** Resolves when the local socket is open, the listed forwards are asked for and, with a join code, the device is enrolled. */
  async start(socketPath: string): Promise<void> {
    this.#local = serveAgentControl(this.#control(), {
      path: socketPath,
      onUnexpected: (error) => this.#log.error("a local request failed: {error}", { error: String(error) }),
    });
    try {
      if (this.#options.runListed) await this.#openListed();
      const joined = this.#identity.secret === null ? null : this.#joined();
      void this.#link.run(this.#abort.signal).then(() => this.#linkEnded());
      await joined;
    } catch (error) {
      await this.#stop(0);
      throw error;
    }
  }

  async #openListed(): Promise<void> {
    for (const spec of this.#settings.forwards) await this.#forwards.put(spec, "config", false);
    for (const spec of this.#options.state.forwards()) await this.#forwards.put(spec, "cli", false);
  }

  /** The outcome of the first attempt with a join code; it is on the disk when this resolves. */
  async #joined(): Promise<void> {
    const first = Promise.withResolvers<LinkState>();
    const watch = (state: LinkState) => {
      if (state.kind !== "connecting") first.resolve(state);
    };
    this.#watchers.add(watch);
    const state = await first.promise;
    this.#watchers.delete(watch);
    switch (state.kind) {
      case "up": {
        const { enrolment } = this.#identity;
        const deviceName = state.welcome.device;
        unwrap(await this.#options.state.enrol({ ...enrolment, deviceName }));
        this.#identity = { enrolment, deviceName, secret: null };
        return;
      }
      case "down":
        throw new ControlError("unreachable", `The relay could not be reached: ${state.message}.`);
      case "rejected":
        throw new ControlError("refused", state.message);
      case "connecting":
        return;
      default:
        return state satisfies never;
    }
  }

  #linkEnded(): void {
    if (this.#link.state.kind !== "rejected") return;
    const { message } = this.#link.state;
    void this.#stop(0);
    this.#ended.reject(new ControlError("refused", message));
  }

  #onLink(state: LinkState): void {
    switch (state.kind) {
      case "up": {
        this.#log.info("connected to the relay", { relay: state.session.peer.name, device: state.welcome.device });
        const requests = new Requests(state.session);
        this.#requests = requests;
        this.#forwards
          .linkUp(requests)
          .catch((error: unknown) =>
            this.#log.error("forwards could not be asked for: {error}", { error: String(error) }),
          );
        break;
      }
      case "down":
        this.#log.warn("no connection to the relay: {why}", {
          why: state.message,
          retryInMs: Math.round(state.retryInMs),
        });
        this.#linkDown();
        break;
      case "rejected":
        this.#log.error("{message}", { message: state.message });
        this.#linkDown();
        break;
      case "connecting":
        break;
      default:
        state satisfies never;
    }
    for (const watch of [...this.#watchers]) watch(state);
  }

  #linkDown(): void {
    this.#requests = null;
    this.#forwards.linkDown();
  }

  #onControl(session: Session, message: ControlMessage): void {
    if (message.t === "result") this.#requests?.answered(message);
    else session.close(`the relay sent ${message.t}, which was not asked for`);
  }

  #onStream(request: OpenRequest, stream: ByteEnd): void {
    if (request.kind === "forward") this.#forwards.onStream(request, stream);
    else this.#dialled.onStream(request, stream);
  }

  #onFlow(request: OpenRequest, flow: FlowEnd): void {
    if (request.kind === "forward") this.#forwards.onFlow(request, flow);
    else this.#dialled.onFlow(request, flow);
  }

  #control() {
    return agentControl({
      forwards: this.#forwards,
      dialled: this.#dialled.visits,
      state: this.#options.state,
      requests: () => this.#requests,
      link: () => this.#link.state,
      relay: () => this.#settings.relay ?? this.#identity.enrolment.relay,
      deviceName: () => this.#identity.deviceName ?? "",
      deviceId: this.#options.key.deviceId,
      version: VERSION,
      startedMs: this.#startedMs,
      wallMs,
      ended: this.#abort.signal,
      settings: () => this.#settings,
      reload: async () => {
        const next = await this.#options.readSettings();
        const before = this.#settings;
        this.#settings = next;
        this.#exitPolicy.changed();
        return before;
      },
      watchLink: (watch) => subscribe(this.#watchers, watch),
      watchForwards: (watch) => subscribe(this.#changes, watch),
    });
  }

  running(): RunningAgent {
    return {
      ...this.#control(),
      link: (signal) => this.#linkEvents(signal),
      closed: this.#ended.promise,
      stop: (options) => this.#stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  async *#linkEvents(signal: AbortSignal): AsyncGenerator<LinkEvent> {
    const events: LinkEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const push = (state: LinkState) => {
      const event = this.#linkEvent(state);
      if (event !== null) events.push(event);
      wake.resolve();
    };
    push(this.#link.state);
    const stopWatching = subscribe(this.#watchers, push);
    const onAbort = () => wake.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#abort.signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        for (let event = events.shift(); event !== undefined; event = events.shift()) yield event;
        if (signal.aborted || this.#abort.signal.aborted) return;
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    } finally {
      stopWatching();
    }
  }

  #linkEvent(state: LinkState): LinkEvent | null {
    switch (state.kind) {
      case "connecting":
        return null;
      case "up":
        return {
          event: "connected",
          relay: this.#settings.relay ?? this.#identity.enrolment.relay,
          name: state.welcome.device,
          deviceId: this.#options.key.deviceId,
          carriers: state.session.carrierCount,
          rttMs: state.session.rttMs,
        };
      case "down":
        return { event: "disconnected", message: state.message, retryInMs: state.retryInMs };
      case "rejected":
        return { event: "rejected", message: state.message };
      default:
        return state satisfies never;
    }
  }

  #stop(drainMs: number): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    this.#stopping ??= this.#close(drainMs);
    return this.#stopping;
  }

  /** Attached forwards are given back first, so that their ports close at once; what is listed stays reserved. */
  async #close(drainMs: number): Promise<void> {
    await this.#local?.close();
    this.#forwards.drain();
    const open = [this.#dialled.visits, ...this.#forwards.visits()];
    if (drainMs > 0) await Promise.race([Promise.all(open.map((visits) => visits.drained())), this.#deadline(drainMs)]);
    for (const [id, held] of [...this.#forwards.list()]) if (held.attached) this.#forwards.remove(id);
    this.#abort.abort();
    this.#forwards.close();
    this.#dialled.visits.cutAll("shutdown");
    this.#dials.close();
    this.#ended.resolve();
  }

  #deadline(drainMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, drainMs);
    this.#abort.signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }
}

function subscribe<T>(all: Set<T>, one: T): () => void {
  all.add(one);
  return () => all.delete(one);
}

function trustOf({ trust, fingerprint }: Omit<Enrolment, "deviceName">): RelayTrust {
  return trust === "pinned" && fingerprint !== null ? { kind: "pinned", fingerprint } : { kind: "verified", ca: null };
}
