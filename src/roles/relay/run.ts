import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { EntryPorts } from "../../core/table.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { directExit } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
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
import { COUNTRY_KEY, openCountries } from "../console/open-countries.ts";
import type {
  CertificateFiles,
  ConsoleSettings,
  RelaySettings,
  RunningRelay,
  SshReady,
  SshSettings,
  StartRelayOptions,
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
import type { DeviceLink } from "./device-link.ts";
import { RelayDials } from "./dials.ts";
import { RelayEntries } from "./entries.ts";
import { RelayForwards } from "./forwards.ts";
import { type RefusedCredentials, relayMetrics } from "./metrics.ts";
import { poolOf, relayPolicy } from "./own-ports.ts";
import { ProxyRefusals } from "./proxy-refusals.ts";
import { publicHostOf } from "./public-host.ts";
import { RelayReload } from "./reload.ts";
import { RelaySessions } from "./sessions.ts";
import type { RelaySsh } from "./ssh/open.ts";
import { RelayStun } from "./stun.ts";

export interface RelayParts {
  readonly store: Store;
  /** Open since before anything else: it holds the lock on the data directory. */
  readonly local: LocalServer;
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
  /** What a reload looks at, by their keys of the config. */
  readonly #looked = new Map<string, Pick<CertificateSource, "look">>();
  readonly #exitPolicy: LiveExitPolicy;
  readonly #auth: RelayAuth;
  readonly #gate: ProxyGate;
  readonly #entries: RelayEntries;
  readonly #forwards: RelayForwards;
  readonly #sessions: RelaySessions;
  readonly #dialRequests: RelayDials;
  readonly #agentPort: AgentPort;
  readonly #check: RelayCheck;
  readonly #refused: RefusedCredentials = { devices: 0, people: 0 };
  readonly #view: RelayView;
  readonly #reload: RelayReload;
  readonly #metrics: ProcessMetrics;
  #metricsListener: HttpListener | null = null;
  #page: CheckServer | null = null;
  #console: OpenConsole | null = null;
  /** Of a gateway in this process, once the console shows both. */
  #beside: GatewayBeside | null = null;
  #settings: RelaySettings;
  #stun: RelayStun | null = null;
  #ssh: RelaySsh | null = null;
  #phase: RelayPhase = "starting";
  #stopping: Promise<void> | null = null;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
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
    const linkOf = (device: string) => this.#linkOf(device);
    const refusals = new ProxyRefusals({
      nowMs: monotonicMs,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#gate = new ProxyGate({
      nowMs: () => this.#sweeper.nowMs(),
      onRefused: (refusal, address) => refusals.add(refusal, address),
    });
    this.#gate.change(parts.settings.proxyProtocolFrom);
    this.#sweeper.add(this.#gate);
    this.#entries = new RelayEntries(this.#sweeper, linkOf, this.#gate);
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
          ssh: this.#ssh,
        }),
      publicHost: (from) => this.#publicHost(from),
      nowMs: monotonicMs,
      wallMs,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#check = new RelayCheck({
      forwards: this.#forwards,
      allowsPrivate: () => this.#settings.check.private,
      linkOf,
      ownAddresses: () => new Set(ownAddresses().map(({ address }) => address)),
      scarce: () => this.#sweeper.descriptors.scarce,
      nowMs: monotonicMs,
      signal: this.#abort.signal,
    });
    this.#sessions = new RelaySessions({
      forwards: this.#forwards,
      check: this.#check,
      linkOf,
      draining: () => this.#phase === "draining",
      seen: (from) => {
        this.#ssh?.agentUp(from.peer.deviceId);
        return this.#seen(from);
      },
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
      linkByName: (account, name) => this.#sessions.byName(account, name),
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
      log: this.#log,
    });
    this.#view = this.#makeView();
    this.#reload = new RelayReload({
      forwards: this.#forwards,
      exitPolicy: this.#exitPolicy,
      gate: this.#gate,
      stun: () => this.#stun,
      looked: this.#looked,
      readSettings: () => parts.readSettings(),
      settings: () => this.#settings,
      use: (settings) => {
        this.#settings = settings;
      },
    });
    const metrics = relayMetrics({
      relay: this.#view,
      refused: this.#refused,
      tunnel: () => this.#counts(),
    });
    const { gatewayMetrics } = parts;
    this.#metrics = new ProcessMetrics(this.#startedMs, [
      metrics,
      ...(gatewayMetrics === null ? [] : [gatewayMetrics]),
    ]);
  }

  /** Of the agent port and of SSH, now. */
  #counts(): { readonly sessions: number; readonly pending: number } {
    const { sessions, pending } = this.#agentPort.counts;
    const ssh = this.#ssh?.counts ?? { sessions: 0, pending: 0 };
    return { sessions: sessions + ssh.sessions, pending: pending + ssh.pending };
  }

  async start(): Promise<void> {
    // Before the public ports: when the agent port is not to be had, no visitor has come in.
    this.#agentPort.listen();
    this.#page = openCheckPage(
      this.#check,
      () => this.#settings,
      (error) => this.#failed("the check page failed", error),
    );
    await this.#forwards.restore();
    await this.#startStun();
    const { console: section, metrics } = this.#settings;
    const failed = (error: unknown) => this.#failed("the metrics could not be read", error);
    this.#metricsListener = await openMetrics(metrics, () => this.#metrics.text(), failed);
    if (section !== null) this.#console = await this.#openConsole(section);
    if (this.#settings.ssh !== undefined) this.#ssh = await this.#openSsh(this.#settings.ssh);
    this.#phase = "serving";
    this.#sweeper.add({
      sweep: (nowMs) => {
        if ((this.#forwards.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) void this.#forwards.expire();
      },
    });
  }

  /** The device's agent, or its SSH clients. */
  #linkOf(deviceId: string): DeviceLink | undefined {
    return this.#agentPort.session(deviceId) ?? this.#ssh?.link(deviceId);
  }

  async #openSsh(settings: SshSettings): Promise<RelaySsh> {
    // Most relays have none.
    const { openSsh } = await import("./ssh/open.ts");
    return openSsh({
      store: this.#parts.store,
      dataDir: this.#parts.dataDir,
      settings,
      forwards: this.#forwards,
      dials: this.#dialRequests,
      sweeper: this.#sweeper,
      log: this.#log,
      hasAgentCalled: (account, name) => this.#sessions.byName(account, name) !== undefined,
      hasAgent: (deviceId) => this.#agentPort.session(deviceId) !== undefined,
      serving: () => this.#phase === "serving",
      draining: () => this.#phase === "draining",
      publicHost: (localAddress) => this.#publicHost({ localAddress }),
      onDenied: () => {
        this.#refused.devices += 1;
      },
      onUnexpected: (error) => this.#failed("the SSH server failed", error),
    });
  }

  #certificateOf(key: string, files: CertificateFiles | null, current: RelayCertificate): CertificateSource {
    const source = openCertificate(key, files, current, { sweeper: this.#sweeper, wallMs, log: this.#log });
    this.#looked.set(key, source);
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

  async #seen({ peer, remoteAddress }: DeviceLink): Promise<void> {
    try {
      await this.#parts.store.devices.touch(peer.deviceId, remoteAddress, wallMs());
    } catch (error) {
      this.#failed("when a device was seen could not be stored", error);
    }
  }

  #failed(what: string, error: unknown): void {
    this.#log.error("{what}: {error}", { what, error: messageOf(error) });
  }

  #publicHost(link: Pick<DeviceLink, "localAddress"> | undefined): string {
    return this.#settings.publicHost ?? link?.localAddress ?? publicHostOf(this.#settings);
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
      session: (deviceId) => this.#linkOf(deviceId),
      listen: () => this.#listenAt(),
      publicHost: (link) => this.#publicHost(link),
      consoleUrl: () => this.#console?.url ?? "",
      consoleCertificate: () => this.#console?.certificate() ?? null,
      ports: () => formatPortSet(poolOf(this.#settings)),
      draining: () => this.#phase === "draining",
      wallMs,
      accountChanged: async (accountId) => {
        await this.#forwards.accountChanged(accountId);
        await this.#beside?.accountChanged(accountId);
      },
      cut: (deviceId) => {
        this.#agentPort.cut(deviceId);
        this.#ssh?.cut(deviceId);
      },
      cutSshKey: (deviceId, fingerprint) => this.#ssh?.cutKey(deviceId, fingerprint),
      ssh: () => this.#sshReady().ssh,
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
    const countries = await openCountries(settings);
    if (countries !== null) this.#looked.set(COUNTRY_KEY, countries);
    const opened = await openRelayConsole({
      relay: this.#view,
      beside: this.#beside,
      place: { dataDir: this.#parts.dataDir, configFile: this.#parts.configFile },
      relaySettings: () => this.#settings,
      settings: () => this.#settings.console ?? settings,
      publicHost: () => this.#settings.publicHost,
      certificate,
      countries,
      metrics: () => this.#metrics.text(),
      onDenied: () => {
        this.#refused.people += 1;
      },
      sweeper: this.#sweeper,
      signal: this.#abort.signal,
      onUnexpected: (error) => this.#failed("the console failed", error),
    });
    if (opened.acme !== null) this.#looked.set("acme", opened.acme.certificate);
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
        ...this.#sshReady(),
      },
      closed: this.#ended.promise,
      stop: (options) => this.stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  #sshReady(): { readonly ssh?: SshReady } {
    const { ssh: settings } = this.#settings;
    if (this.#ssh === null || settings === undefined) return {};
    const { port, hostKey, fingerprint } = this.#ssh;
    return { ssh: { listen: { host: settings.listen.host, port }, hostKey, fingerprint } };
  }

  /** The second call cuts the drain of the first short. */
  stop(drainMs: number): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    else {
      this.#stopping = this.#drainAndClose(drainMs);
      this.#stopping.then(this.#ended.resolve, this.#ended.reject);
    }
    return this.#stopping;
  }

  async #drainAndClose(drainMs: number): Promise<void> {
    this.#phase = "draining";
    this.#agentPort.stopListening();
    this.#ssh?.stopListening();
    this.#dialRequests.drain();
    const open = [this.#dialRequests.visits];
    for (const shared of this.#entries.all()) {
      shared.drain();
      if (shared.entry !== null) open.push(shared.entry.visits);
    }
    await Promise.race([Promise.all(open.map((visits) => visits.drained())), this.#cutShort(drainMs)]);
    this.#abort.abort();
    const listeners = [this.#page, this.#console, this.#metricsListener];
    await Promise.all([this.#parts.local.close(), ...listeners.map((listener) => listener?.close())]);
    this.#entries.closeAll();
    this.#dialRequests.visits.cutAll("shutdown");
    this.#agentPort.close();
    this.#ssh?.close();
    this.#dials.close();
    await this.#forwards.idle();
    await this.#parts.store.close();
  }

  #cutShort(drainMs: number): Promise<void> {
    return drainMs <= 0 ? Promise.resolve() : pause(drainMs, this.#abort.signal);
  }
}
