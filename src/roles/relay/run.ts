import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { EntryPorts } from "../../core/table.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { directExit } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import { monotonicMs, nowMs as wallMs } from "../../os/clock.ts";
import { messageOf } from "../../os/errors.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { areaLogger } from "../../os/log.ts";
import { loadReflection } from "../../os/reflection.ts";
import { VERSION } from "../../os/version.ts";
import type { CheckServer } from "../../servers/check/server.ts";
import type { HttpListener } from "../../servers/http-listen.ts";
import type { LocalServer } from "../../servers/local/server.ts";
import type { Store } from "../../store/store.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { formatPortSet } from "../../wire/port-set.ts";
import { openCertificate } from "../certificate/open.ts";
import type { CertificateSource } from "../certificate/source.ts";
import { loadPair, type RelayIdentity } from "../certificates.ts";
import type { GatewayBeside } from "../console/beside.ts";
import type { OpenConsole } from "../console/open.ts";
import type {
  CertificateFiles,
  ConsoleSettings,
  RelaySettings,
  RunningRelay,
  StartRelayOptions,
  StartSuccessor,
} from "../control.ts";
import { LiveExitPolicy } from "../exits.ts";
import { openMetrics } from "../metrics/open.ts";
import { type MetricSource, ProcessMetrics } from "../metrics/page.ts";
import { pause } from "../pause.ts";
import { AgentPort, type RelayPhase } from "./agent-port.ts";
import { RelayAuth } from "./auth.ts";
import { RelayCheck } from "./check.ts";
import { openCheckPage } from "./check-page.ts";
import { type RelayView, relayControl } from "./control.ts";
import { RelayDials } from "./dials.ts";
import { RelayEntries } from "./entries.ts";
import { RelayForwards } from "./forwards.ts";
import { Gate } from "./gate.ts";
import { HandOver } from "./hand-over.ts";
import { type RefusedCredentials, relayMetrics } from "./metrics.ts";
import { poolOf, relayPolicy } from "./own-ports.ts";
import { publicHostOf } from "./public-host.ts";
import { RelayReload } from "./reload.ts";
import { RelaySessions } from "./sessions.ts";
import { settle } from "./settle.ts";
import { RelayStun } from "./stun.ts";
import type { TakeOver } from "./take-over.ts";

export interface RelayParts {
  readonly store: Store;
  /** Open since before anything else: it holds the lock on the data directory. */
  readonly local: LocalServer;
  /** Opens it again, when it was given to a process that did not become the relay. */
  readonly reopenLocal: () => LocalServer;
  /** Where a process that takes over comes. */
  readonly upgradeSocket: string;
  readonly startSuccessor: StartSuccessor | null;
  readonly handedOver: (pid: number) => Promise<void>;
  /** What this process takes over; null = it is a start like any other. */
  readonly takeOver: TakeOver | null;
  readonly identity: RelayIdentity;
  readonly settings: RelaySettings;
  readonly readSettings: () => Promise<RelaySettings>;
  readonly ports: EntryPorts;
  /** Of a gateway that this process is as well. */
  readonly gatewayMetrics: MetricSource | null;
  readonly gatewayBeside: StartRelayOptions["gatewayBeside"] | null;
  readonly dataDir: string;
  readonly configFile: string | null;
}

const DRAIN_MS = 30_000;
/** Streams of before an upgrade may go on for this long. */
const UPGRADE_DRAIN_MS = 3_600_000;
/** A process that was killed leaves the data directory when the kernel has cleared it away. */
const LOCK_WITHIN_MS = 5_000;
const LOCK_RETRY_MS = 50;

/** A relay that runs: it wires the agent port, the forwards, the store and its other servers together. */
export class Relay {
  readonly #log = areaLogger("relay");
  readonly #parts: RelayParts;
  readonly #ended = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly #sweeper = startSweeper(this.#abort.signal);
  readonly #dials = new Dials(this.#sweeper);
  readonly #startedMs = wallMs();
  readonly #certificate: CertificateSource;
  /** Those that a reload looks at, by the config's key. */
  readonly #certificates = new Map<string, CertificateSource>();
  readonly #exitPolicy: LiveExitPolicy;
  readonly #auth: RelayAuth;
  readonly #entries: RelayEntries;
  readonly #forwards: RelayForwards;
  readonly #sessions: RelaySessions;
  readonly #dialRequests: RelayDials;
  readonly #agentPort: AgentPort;
  readonly #check: RelayCheck;
  readonly #refused: RefusedCredentials = { devices: 0, people: 0 };
  readonly #view: RelayView;
  readonly #reload: RelayReload;
  readonly #gate = new Gate();
  readonly #sharing = new PortSharing(systemSockets());
  readonly #handOver: HandOver;
  #local: LocalServer;
  #record: (() => Promise<void>) | null = null;
  /** The process before this one has left its ports. */
  #settled: Promise<void> = Promise.resolve();
  readonly #metrics: ProcessMetrics;
  #metricsListener: HttpListener | null = null;
  #page: CheckServer | null = null;
  #console: OpenConsole | null = null;
  /** Of a gateway in this process, once the console shows both. */
  #beside: GatewayBeside | null = null;
  #settings: RelaySettings;
  #stun: RelayStun | null = null;
  #phase: RelayPhase = "starting";
  #stopping: Promise<void> | null = null;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#local = parts.local;
    // Whoever looks at `closed` hears of a failure; it is nobody's duty to look.
    this.#ended.promise.catch(() => undefined);
    const { store } = parts;
    this.#certificate = this.#certificateOf(
      "relay.certificate",
      parts.settings.certificate,
      parts.identity.certificate,
    );
    this.#exitPolicy = new LiveExitPolicy({
      rules: () => this.#settings.allow,
      exposed: () => [],
      nowMs: monotonicMs,
      onRefused: ({ message }) => this.#log.info("{message}", { message }),
    });
    this.#auth = new RelayAuth({
      store,
      nowMs: monotonicMs,
      wallMs,
      random: Math.random,
      onDenied: (address, afterMs) => {
        this.#refused.devices += 1;
        this.#log.warn("a credential was refused", { address, afterMs });
      },
      onEnrolled: ({ name, id }) => this.#log.info("a device enrolled", { device: name, id }),
    });
    const session = (device: string) => this.#agentPort.session(device);
    this.#entries = new RelayEntries(this.#sweeper, session, this.#sharing);
    this.#forwards = new RelayForwards({
      store,
      entries: this.#entries,
      ports: parts.ports,
      policy: () =>
        relayPolicy(this.#settings, {
          agentPort: this.#listenAt().port,
          stun: this.#stun,
          page: this.#page,
          console: this.#console,
          metrics: this.#metricsListener,
        }),
      publicHost: (from) => this.#publicHost(from),
      nowMs: monotonicMs,
      wallMs,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#check = new RelayCheck({
      forwards: this.#forwards,
      allowsPrivate: () => this.#settings.check.private,
      session,
      ownAddresses: () => new Set(ownAddresses().map(({ address }) => address)),
      scarce: () => this.#sweeper.descriptors.scarce,
      nowMs: monotonicMs,
      signal: this.#abort.signal,
    });
    this.#sessions = new RelaySessions({
      forwards: this.#forwards,
      check: this.#check,
      session,
      draining: () => this.#phase === "draining",
      gate: this.#gate,
      seen: (from) => this.#seen(from),
      failed: (error) => this.#failed("a device's request failed", error),
    });
    this.#dialRequests = new RelayDials({
      exit: directExit({
        target: (visit) => visit.destination ?? null,
        allows: this.#exitPolicy,
        resolver: systemResolver(),
        dials: this.#dials,
        proxyProtocol: () => DEFAULT_OPTIONS.proxyProtocol,
      }),
      sweeper: this.#sweeper,
      sessionByName: (account, name) => this.#sessions.byName(account, name),
    });
    this.#agentPort = new AgentPort({
      settings: () => this.#settings,
      certificate: this.#certificate,
      clientCa: parts.identity.clientCa,
      auth: this.#auth,
      sessions: this.#sessions,
      dials: this.#dialRequests,
      phase: () => this.#phase,
      sweeper: this.#sweeper,
      sharing: this.#sharing,
      gate: this.#gate,
      log: this.#log,
    });
    this.#handOver = this.#makeHandOver();
    this.#view = this.#makeView();
    this.#reload = new RelayReload({
      forwards: this.#forwards,
      exitPolicy: this.#exitPolicy,
      stun: () => this.#stun,
      certificates: this.#certificates,
      readSettings: () => parts.readSettings(),
      settings: () => this.#settings,
      use: (settings) => {
        this.#settings = settings;
      },
    });
    const metrics = relayMetrics({
      relay: this.#view,
      refused: this.#refused,
      tunnel: () => this.#agentPort.counts,
    });
    const { gatewayMetrics } = parts;
    this.#metrics = new ProcessMetrics(this.#startedMs, [
      metrics,
      ...(gatewayMetrics === null ? [] : [gatewayMetrics]),
    ]);
  }

  async start(): Promise<void> {
    const { takeOver } = this.#parts;
    if (takeOver === null) {
      // Before the public ports: when the agent port is not to be had, no visitor has come in.
      this.#agentPort.listen();
      this.#openPage();
      await this.#forwards.restore();
      await this.#startStun();
      await this.#openMetrics();
      await this.#startConsole();
      this.#phase = "serving";
    } else await this.#takeOver(takeOver);
    this.#sweeper.add({
      sweep: (nowMs) => {
        if ((this.#forwards.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) void this.#forwards.expire();
      },
    });
  }

  #openPage(): void {
    this.#page = openCheckPage(
      this.#check,
      () => this.#settings,
      (error) => this.#failed("the check page failed", error),
    );
  }

  async #openMetrics(): Promise<void> {
    const failed = (error: unknown) => this.#failed("the metrics could not be read", error);
    this.#metricsListener = await openMetrics(this.#settings.metrics, () => this.#metrics.text(), failed);
  }

  async #startConsole(): Promise<void> {
    const { console: section } = this.#settings;
    if (section !== null) this.#console = await this.#openConsole(section);
  }

  /** Until `serve` the other process can go on as it was; after that nothing may end this one that is not worth the service. */
  async #takeOver(takeOver: TakeOver): Promise<void> {
    await takeOver.lend(this.#sharing, this.#settings.listen.port);
    // Devices that come already wait with what they want.
    this.#phase = "waiting";
    this.#gate.close();
    this.#entries.watcher = takeOver;
    this.#agentPort.listen();
    await this.#forwards.restore((device) => !takeOver.expects(device));
    if (this.#settings.console !== null) await Promise.all([loadReflection(), import("./console.ts")]);
    takeOver.serve();
    this.#phase = "serving";
    this.#gate.open();
    await takeOver.freed;
    const servers = [
      () => this.#openPage(),
      () => this.#startStun(),
      () => this.#openMetrics(),
      () => this.#startConsole(),
    ];
    for (const open of servers) {
      try {
        await open();
      } catch (error) {
        this.#failed("a server could not be opened again, restart the relay when its cause is mended", error);
      }
    }
    this.#settled = settle({
      takeOver,
      forwards: this.#forwards,
      entries: this.#entries,
      agentPort: this.#agentPort,
      sharing: this.#sharing,
      sweeper: this.#sweeper,
      log: this.#log,
    });
    this.#settled.catch((error: unknown) => this.#failed("the take-over could not be ended", error));
  }

  #makeHandOver(): HandOver {
    const { takeOver, startSuccessor, handedOver, upgradeSocket } = this.#parts;
    return new HandOver({
      path: upgradeSocket,
      agentPort: this.#agentPort,
      cut: (device) => this.#cut(device),
      entries: this.#entries,
      forwards: this.#forwards,
      startSuccessor,
      handedOver,
      settled: () => this.#settled,
      refusal: () => this.#whyNotHandOver(),
      pause: () => this.#pause(),
      resume: () => this.#resume(),
      give: () => this.#give(),
      otherVisits: () => this.#dialRequests.visits.size,
      predecessorEnded: () => takeOver?.hasEnded ?? true,
      drained: () => void this.stop(0),
      stop: (drainMs) => void this.stop(drainMs),
      drainLimitMs: () => UPGRADE_DRAIN_MS,
      sweeper: this.#sweeper,
      log: this.#log,
    });
  }

  #whyNotHandOver(): string | null {
    if (this.#parts.gatewayBeside !== null) {
      return "This process is a gateway as well, which one process alone can be: restart it; the kernel forwards meanwhile.";
    }
    return this.#phase === "serving" ? null : "The relay is starting or stopping: try again when it serves.";
  }

  async #pause(): Promise<void> {
    this.#phase = "waiting";
    this.#gate.close();
    await this.#forwards.idle();
    await this.#record?.();
    this.#local.release();
  }

  async #resume(): Promise<void> {
    const before = this.#local;
    const untilMs = monotonicMs() + LOCK_WITHIN_MS;
    for (;;) {
      try {
        this.#local = this.#parts.reopenLocal();
        break;
      } catch (error) {
        if (monotonicMs() >= untilMs) throw error;
        await pause(LOCK_RETRY_MS, this.#abort.signal);
      }
    }
    this.#phase = "serving";
    this.#gate.open();
    // Who asked for the upgrade is answered there.
    void before.close({ answerWithinMs: LOCK_WITHIN_MS }).catch((error) => this.#failed("a socket stayed open", error));
  }

  /** What has no visitors of forwards is closed at once: the other process opens it. */
  async #give(): Promise<void> {
    this.#phase = "draining";
    this.#stun?.close();
    const servers = [this.#page, this.#console, this.#metricsListener];
    [this.#page, this.#console, this.#metricsListener] = [null, null, null];
    await Promise.all(servers.map((server) => server?.close()));
  }

  /** Here, and at the processes before this one. */
  #cut(deviceId: string): void {
    this.#agentPort.cut(deviceId);
    this.#parts.takeOver?.cut(deviceId);
  }

  #certificateOf(key: string, files: CertificateFiles | null, current: RelayCertificate): CertificateSource {
    const source = openCertificate(key, files, current, { sweeper: this.#sweeper, wallMs, log: this.#log });
    this.#certificates.set(key, source);
    return source;
  }

  /** As the agent port is bound, once it is. */
  #listenAt(): HostPort {
    const { host, port } = this.#settings.listen;
    return { host, port: this.#agentPort.port ?? port };
  }

  async #startStun(): Promise<void> {
    const stun = await RelayStun.start({
      listen: this.#listenAt(),
      ports: this.#parts.ports,
      enabled: () => this.#settings.stun,
      addresses: () => ownAddresses().map(({ address }) => address),
      nowMs: monotonicMs,
      signal: this.#abort.signal,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#stun = stun;
    this.#sweeper.add(stun);
  }

  async #seen({ peer, remoteAddress }: Session): Promise<void> {
    this.#parts.takeOver?.arrived(peer.deviceId);
    try {
      await this.#parts.store.devices.touch(peer.deviceId, remoteAddress, wallMs());
    } catch (error) {
      this.#failed("when a device was seen could not be stored", error);
    }
  }

  #failed(what: string, error: unknown): void {
    this.#log.error("{what}: {error}", { what, error: messageOf(error) });
  }

  #publicHost(session: Session | undefined): string {
    return this.#settings.publicHost ?? session?.localAddress ?? publicHostOf(this.#settings);
  }

  /** What local commands, and the console, ask and change. */
  #makeView(): RelayView {
    const { store, identity } = this.#parts;
    return {
      store,
      forwards: this.#forwards,
      dials: this.#dialRequests,
      fingerprint: () => this.#certificate.current.fingerprint,
      trust: identity.trust,
      version: VERSION,
      startedMs: this.#startedMs,
      session: (deviceId) => this.#agentPort.session(deviceId),
      listen: () => this.#listenAt(),
      publicHost: (session) => this.#publicHost(session),
      consoleUrl: () => this.#console?.url ?? "",
      consoleCertificate: () => this.#console?.certificate() ?? null,
      ports: () => formatPortSet(poolOf(this.#settings)),
      draining: () => this.#phase === "draining",
      wallMs,
      accountChanged: async (accountId) => {
        await this.#forwards.accountChanged(accountId);
        await this.#beside?.accountChanged(accountId);
      },
      cut: (deviceId) => this.#cut(deviceId),
      handOver: () => this.#handOver.offer(),
      declineUpgrade: (message) => this.#handOver.declined(message),
      upgrade: (request) => this.#handOver.upgrade(request),
      reload: () => this.#reload.run(),
    };
  }

  async #openConsole(settings: ConsoleSettings): Promise<OpenConsole> {
    // It takes a moment to load, and many relays have none.
    await loadReflection();
    const { openRelayConsole } = await import("./console.ts");
    const { certificate: files } = settings;
    const certificate =
      files === null
        ? this.#certificate
        : this.#certificateOf("console.certificate", files, await loadPair(files, wallMs()));
    this.#beside = (await this.#parts.gatewayBeside?.()) ?? null;
    const opened = await openRelayConsole({
      relay: this.#view,
      beside: this.#beside,
      place: { dataDir: this.#parts.dataDir, configFile: this.#parts.configFile },
      relaySettings: () => this.#settings,
      settings: () => this.#settings.console ?? settings,
      publicHost: () => this.#settings.publicHost,
      certificate,
      metrics: () => this.#metrics.text(),
      onDenied: () => {
        this.#refused.people += 1;
      },
      sweeper: this.#sweeper,
      isWaiting: () => this.#phase === "waiting",
      signal: this.#abort.signal,
      onUnexpected: (error) => this.#failed("the console failed", error),
    });
    this.#record = opened.record;
    if (opened.acme !== null) this.#certificates.set("acme", opened.acme.certificate);
    return opened;
  }

  running(): RunningRelay {
    return {
      ...relayControl(this.#view),
      ready: {
        listen: this.#listenAt(),
        publicHost: this.#publicHost(undefined),
        fingerprint: Buffer.from(this.#certificate.current.fingerprint).toString("hex"),
        console: this.#console === null ? null : { url: this.#console.url, setupLink: this.#console.setupLink },
        metricsPort: this.#metricsListener?.port ?? null,
      },
      closed: this.#ended.promise,
      stop: (options) => this.stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  /** The second call cuts the drain of the first short. */
  stop(drainMs: number): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    else {
      this.#parts.takeOver?.stop(drainMs);
      this.#stopping = this.#drainAndClose(drainMs);
      this.#stopping.then(this.#ended.resolve, this.#ended.reject);
    }
    return this.#stopping;
  }

  async #drainAndClose(drainMs: number): Promise<void> {
    this.#phase = "draining";
    this.#agentPort.stopListening();
    this.#dialRequests.drain();
    const open = [this.#dialRequests.visits];
    for (const shared of this.#entries.all()) {
      shared.drain();
      if (shared.entry !== null) open.push(shared.entry.visits);
    }
    await Promise.race([Promise.all(open.map((visits) => visits.drained())), this.#cutShort(drainMs)]);
    this.#abort.abort();
    const listeners = [this.#page, this.#console, this.#metricsListener];
    await Promise.all([this.#local.close(), ...listeners.map((listener) => listener?.close())]);
    await this.#record?.();
    this.#entries.closeAll();
    this.#dialRequests.visits.cutAll("shutdown");
    this.#agentPort.close();
    this.#dials.close();
    await this.#forwards.idle();
    await this.#parts.store.close();
  }

  #cutShort(drainMs: number): Promise<void> {
    return drainMs <= 0 ? Promise.resolve() : pause(drainMs, this.#abort.signal);
  }
}
