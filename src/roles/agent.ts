import { type ExitRule, THIS_MACHINE } from "../core/exit-rule.ts";
import type { ForwardSpec, Origin } from "../core/forward.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { directExit } from "../dataplanes/direct/exit.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import type { ByteEnd, FlowEnd } from "../dataplanes/io/ends.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import type { CertificatePair } from "../dataplanes/tunnel/tls.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { type DeviceKey, loadOrCreateDeviceKey } from "../os/device-key.ts";
import type { FileError } from "../os/files.ts";
import { areaLogger } from "../os/log.ts";
import { watchPackets } from "../os/packet-watch.ts";
import { openDataDirectory } from "../os/paths.ts";
import { VERSION } from "../os/version.ts";
import { type LocalServer, serveAgentControl } from "../servers/local/server.ts";
import { type AgentState, openAgentState } from "../store/agent-state.ts";
import type { Result } from "../wire/result.ts";
import { ASSIGN_FEATURE } from "../wire/tunnel/control.ts";
import type { OpenRequest } from "../wire/tunnel/open.ts";
import { AssignedForwards } from "./agent/assigned.ts";
import { agentControl } from "./agent/control.ts";
import { DialledVisits } from "./agent/dialled.ts";
import { AgentForwards } from "./agent/forwards.ts";
import { type Identity, identityOf } from "./agent/identity.ts";
import type { LinkState } from "./agent/link.ts";
import { linkEvents } from "./agent/link-events.ts";
import { RelayLink } from "./agent/relay-link.ts";
import type { Requests } from "./agent/requests.ts";
import { loadClientCertificate, readPem } from "./certificates.ts";
import type { CheckMeans } from "./check/means.ts";
import {
  type AgentControl,
  type AgentSettings,
  ControlError,
  type LinkEvent,
  type RunningAgent,
  type StartAgent,
} from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { LiveExitPolicy } from "./exits.ts";
import { pause } from "./pause.ts";
import { startingAgent } from "./starting.ts";
import { subscribe } from "./subscribe.ts";
import { RouterLog } from "./upstream/log.ts";
import { upstreamOpener } from "./upstream/open.ts";

const DRAIN_MS = 10_000;
/** How often forwards that were refused are asked for again. */
const RETRY_MS = 15_000;

/** Runs an agent: connected to its relay, serving what its config lists, what was added and what is attached. */
export const startAgent: StartAgent = async (options) => {
  const { dataDir, joinCode, readSettings, runListed, withoutRelay, managed, routerEvidence } = options;
  refuseUnsafeEnvironment();
  const log = areaLogger("agent");
  const paths = unwrap(await openDataDirectory(dataDir));
  const control = Promise.withResolvers<AgentControl>();
  // A start that fails is told by its own error; a local request that waits for it, if any, hears of it as well.
  control.promise.catch(() => undefined);
  const local = serveAgentControl(startingAgent(control.promise), {
    path: paths.agentSocket,
    onUnexpected: (error) => log.error("a local request failed: {error}", { error: String(error) }),
  });
  let agent: Agent | null = null;
  try {
    const key = unwrap(await loadOrCreateDeviceKey(dataDir));
    const state = unwrap(await openAgentState(dataDir));
    const settings = await readSettings();
    const identity = identityOf(joinCode, state, withoutRelay ?? false);
    const ca = settings.ca === null ? null : await readPem(settings.ca);
    const clientCertificate = await loadClientCertificate(settings.certificate, wallMs());
    const parts = { key, state, settings, readSettings, identity, runListed, local, ca, clientCertificate };
    if (managed !== undefined) unwrap(await state.setManaged(managed));
    agent = new Agent({ ...parts, routerEvidence: routerEvidence ?? null });
    const running = agent.running();
    // A command may attach its forwards while the agent is still enrolling.
    control.resolve(running);
    await agent.start();
    return running;
  } catch (error) {
    control.reject(error);
    if (agent === null) await local.close();
    else await agent.stop(0);
    throw error;
  }
};

function unwrap<T>(result: Result<T, FileError>): T {
  if (result.ok) return result.value;
  throw new ControlError("usage", result.error.message, { cause: result.error.cause });
}

interface AgentParts {
  readonly key: DeviceKey;
  readonly state: AgentState;
  readonly settings: AgentSettings;
  readonly readSettings: () => Promise<AgentSettings>;
  /** Null: without a relay. */
  readonly identity: Identity | null;
  readonly runListed: boolean;
  /** PEM of the CA of a relay with a certificate of its own. */
  readonly ca: string | null;
  readonly clientCertificate: CertificatePair | null;
  /** Open since before anything else: it holds the lock on the data directory. */
  readonly local: LocalServer;
  /** Null: the real router is asked. */
  readonly routerEvidence: CheckMeans["routerEvidence"] | null;
}

class Agent {
  readonly #log = areaLogger("agent");
  readonly #parts: AgentParts;
  readonly #ended = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly #sweeper = startSweeper(this.#abort.signal);
  readonly #dials = new Dials(this.#sweeper);
  readonly #resolver = systemResolver();
  readonly #routerLog = new RouterLog();
  readonly #startedMs = wallMs();
  readonly #forwardWatchers = new Set<(id: string) => void>();
  readonly #exitPolicy: LiveExitPolicy;
  readonly #assignedPolicy: LiveExitPolicy;
  readonly #dialled: DialledVisits;
  readonly #forwards: AgentForwards;
  readonly #assigned: AssignedForwards;
  /** Null: without a relay. */
  readonly #link: RelayLink | null;
  #settings: AgentSettings;
  #linkRun: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    // Whoever looks at `closed` hears of a failure; it is nobody's duty to look.
    this.#ended.promise.catch(() => undefined);
    this.#exitPolicy = new LiveExitPolicy({
      rules: () => this.#settings.allow,
      exposed: () => this.#exposedRules(),
      nowMs: monotonicMs,
      onRefused: ({ message }) => this.#log.info("{message}", { message }),
    });
    this.#assignedPolicy = new LiveExitPolicy({
      rules: () => [...THIS_MACHINE, ...this.#settings.allow],
      exposed: () => [],
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
        session: () => this.#link?.dialSession ?? null,
      },
      random: Math.random,
      openUpstream: upstreamOpener({ log: this.#routerLog }),
      allowsAssigned: this.#assignedPolicy,
      onChange: (id) => {
        this.#exitPolicy.changed();
        for (const changed of [...this.#forwardWatchers]) changed(id);
      },
    });
    this.#assigned = new AssignedForwards({
      forwards: this.#forwards,
      resolver: this.#resolver,
      isManaged: () => this.#isManaged(),
      allows: this.#assignedPolicy,
      decline: (id, message) => this.#link?.session?.send({ t: "declined", id, message }),
    });
    this.#link = parts.identity === null ? null : this.#makeLink(parts.identity);
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

  #makeLink(identity: Identity): RelayLink {
    const { key, state, ca, clientCertificate } = this.#parts;
    return new RelayLink({
      identity,
      key,
      state,
      ca,
      clientCertificate,
      settings: () => this.#settings,
      sweeper: this.#sweeper,
      onUp: (requests, features) => this.#logged("forwards could not be asked for", this.#linkUp(requests, features)),
      onAssigned: (message) => this.#assigned.onMessage(message),
      onDown: () => this.#forwards.linkDown(),
      onStream: (request, stream) => this.#onStream(request, stream),
      onFlow: (request, flow) => this.#onFlow(request, flow),
    });
  }

  #isManaged(): boolean {
    return this.#settings.managed ?? this.#parts.state.managed();
  }

  /** A reload may have changed it. */
  #tellManaged(): void {
    const state = this.#linkState();
    const requests = this.#link?.requests ?? null;
    if (requests === null || state.kind !== "up" || !this.#asksForAssigned(state.welcome.features ?? [])) return;
    void requests.ask({ t: "assignments", managed: this.#isManaged() });
  }

  /** What a command runs beside is not its to take up. */
  #asksForAssigned(features: readonly string[]): boolean {
    return this.#parts.runListed && features.includes(ASSIGN_FEATURE);
  }

  async #linkUp(requests: Requests, features: readonly string[]): Promise<void> {
    this.#assigned.began();
    await Promise.all([
      this.#forwards.linkUp(requests, this.#reserved()),
      ...(this.#asksForAssigned(features) ? [requests.ask({ t: "assignments", managed: this.#isManaged() })] : []),
    ]);
  }

  /** Resolves when the listed forwards are asked for and, with a join code, the device is enrolled. */
  async start(): Promise<void> {
    if (this.#parts.runListed) await this.#openListed();
    if (this.#link !== null) {
      this.#linkRun = this.#link.run(this.#abort.signal);
      this.#linkRun.catch((error: unknown) => void this.stop(0, error));
      await this.#link.enrolled();
    }
    let nextRetryMs = monotonicMs() + RETRY_MS;
    this.#sweeper.add({
      sweep: (nowMs) => {
        if (nowMs < nextRetryMs) return;
        nextRetryMs = nowMs + RETRY_MS;
        this.#logged("refused forwards could not be asked for again", this.#forwards.retryRefused());
      },
    });
  }

  async #openListed(): Promise<void> {
    for (const spec of this.#settings.forwards) await this.#open(spec, "config");
    for (const spec of this.#parts.state.forwards()) await this.#open(spec, "cli");
  }

  async #open(spec: ForwardSpec, origin: Origin): Promise<void> {
    const opening = this.#forwards.put(spec, origin, false);
    // A router that is silent takes seconds, and nothing else waits for it.
    if (spec.kind === "upstream")
      this.#logged(
        "a mapping could not be asked for",
        opening.then(() => undefined),
      );
    else await opening;
  }

  #linkState(): LinkState {
    return this.#link?.state ?? { kind: "none" };
  }

  #watchLink(watch: (state: LinkState) => void): () => void {
    return this.#link?.watch(watch) ?? (() => undefined);
  }

  #logged(what: string, work: Promise<void>): void {
    work.catch((error: unknown) => this.#log.error("{what}: {error}", { what, error: String(error) }));
  }

  /** What is listed but not run here: the relay keeps it for the device. */
  #reserved(): string[] {
    if (this.#parts.runListed) return [];
    const listed = [...this.#settings.forwards, ...this.#parts.state.forwards()];
    return listed.flatMap((spec) => (spec.kind === "remote" ? [spec.remote.id] : []));
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
      state: this.#parts.state,
      requests: () => this.#link?.requests ?? null,
      link: () => this.#linkState(),
      relay: () => this.#link?.relay ?? null,
      deviceName: () => this.#link?.deviceName ?? "",
      deviceId: this.#parts.key.deviceId,
      version: VERSION,
      startedMs: this.#startedMs,
      nowMs: monotonicMs,
      wallMs,
      ended: this.#abort.signal,
      runListed: this.#parts.runListed,
      settings: () => this.#settings,
      ignored: () => this.#routerLog.ignored,
      checkMeans: { resolver: this.#resolver, watchPackets, routerEvidence: this.#routerEvidence() },
      reload: async () => {
        const next = await this.#parts.readSettings();
        const before = this.#settings;
        this.#settings = next;
        this.#exitPolicy.changed();
        this.#assignedPolicy.changed();
        await this.#assigned.take();
        this.#tellManaged();
        return before;
      },
      watchLink: (watch) => this.#watchLink(watch),
      watchForwards: (watch) => subscribe(this.#forwardWatchers, watch),
    });
  }

  #routerEvidence(): CheckMeans["routerEvidence"] {
    return (
      this.#parts.routerEvidence ??
      (async (port, protocol, wanted, signal) => {
        // The router client takes a moment to load, and few agents ever need it.
        const { routerEvidence } = await import("./router/evidence.ts");
        return routerEvidence({ port, protocol, wanted, stunServer: this.#link?.relay ?? null, signal });
      })
    );
  }

  running(): RunningAgent {
    return {
      ...this.#control(),
      link: (signal) => this.#linkEvents(signal),
      closed: this.#ended.promise,
      stop: (options) => this.stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  #linkEvents(signal: AbortSignal): AsyncIterable<LinkEvent> {
    return linkEvents({
      present: this.#linkState(),
      watch: (watch) => this.#watchLink(watch),
      ends: [signal, this.#abort.signal],
      relay: () => this.#link?.relay ?? null,
      deviceId: this.#parts.key.deviceId,
    });
  }

  /** The second call cuts the drain of the first short. `failure`: what `closed` rejects with. */
  stop(drainMs: number, failure: unknown = null): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    else {
      this.#stopping = this.#drainAndClose(drainMs);
      this.#stopping.then(
        () => (failure === null ? this.#ended.resolve() : this.#ended.reject(failure)),
        this.#ended.reject,
      );
    }
    return this.#stopping;
  }

  /** Attached forwards are given back first, so that their ports close at once; what is listed stays reserved. */
  async #drainAndClose(drainMs: number): Promise<void> {
    await this.#parts.local.close();
    this.#forwards.drain();
    this.#dialled.drain();
    const open = [this.#dialled.visits, ...this.#forwards.visits()];
    await Promise.race([Promise.all(open.map((visits) => visits.drained())), this.#cutShort(drainMs)]);
    for (const [id, held] of [...this.#forwards.list()]) if (held.attached) this.#forwards.remove(id);
    this.#abort.abort();
    await this.#forwards.close();
    this.#dialled.visits.cutAll("shutdown");
    this.#dials.close();
    // A failure of it is what `closed` tells already.
    await this.#linkRun.catch(() => undefined);
  }

  #cutShort(drainMs: number): Promise<void> {
    return drainMs <= 0 || this.#abort.signal.aborted ? Promise.resolve() : pause(drainMs, this.#abort.signal);
  }
}
