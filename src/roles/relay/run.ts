import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import type { EntryPorts } from "../../core/table.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { directExit } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { monotonicMs, nowMs as wallMs } from "../../os/clock.ts";
import { messageOf } from "../../os/errors.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import { areaLogger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import type { Store } from "../../store/store.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { formatPortSet } from "../../wire/port-set.ts";
import type { CertificateSource } from "../certificate/source.ts";
import { WatchedFiles } from "../certificate/watched.ts";
import type { RelayIdentity } from "../certificates.ts";
import type { RelaySettings, RunningRelay, StartRelayOptions } from "../control.ts";
import { LiveExitPolicy } from "../exits.ts";
import { type MetricSource, ProcessMetrics } from "../metrics/page.ts";
import { pause } from "../pause.ts";
import { AgentPort, type RelayPhase } from "./agent-port.ts";
import { RelayAuth } from "./auth.ts";
import { RelayCheck } from "./check.ts";
import { type RelayView, relayControl } from "./control.ts";
import type { DeviceLink, LinkOf } from "./device-link.ts";
import { RelayDials } from "./dials.ts";
import { RelayEntries } from "./entries.ts";
import { troubleOf } from "./forward-state.ts";
import { RelayForwards } from "./forwards.ts";
import { type LentServers, together } from "./lent-servers.ts";
import { type RefusedCredentials, relayMetrics } from "./metrics.ts";
import { RelayNames } from "./names.ts";
import { OwnConsole } from "./own-console.ts";
import { poolOf, relayPolicy } from "./own-ports.ts";
import { openProxyGate } from "./proxy-refusals.ts";
import { publicHostOf } from "./public-host.ts";
import { RelayReload } from "./reload.ts";
import { noteSeen } from "./seen.ts";
import { RelaySessions } from "./sessions.ts";
import { SideServers } from "./side-servers.ts";
import { OptionalSsh } from "./ssh/optional.ts";
import { Succession, type SuccessionOptions, type SuccessionParts } from "./succession.ts";

export interface RelayParts {
  readonly store: Store;
  readonly succession: SuccessionParts;
  readonly identity: RelayIdentity;
  readonly settings: RelaySettings;
  readonly readSettings: () => Promise<RelaySettings>;
  readonly ports: EntryPorts;
  /** Of a gateway that this process is as well. */
  readonly gatewayMetrics: MetricSource | null;
  readonly gatewayBeside: NonNullable<StartRelayOptions["gatewayBeside"]> | null;
  readonly dataDir: string;
  readonly configFile: string | null;
}

const DRAIN_MS = 30_000;
const GATEWAY_BESIDE =
  "This process is a gateway as well, which one process alone can be: restart it; the kernel forwards meanwhile.";
/** Streams of before an upgrade may go on for this long. */
const UPGRADE_DRAIN_SEC = 3_600;
const MS_PER_SEC = 1_000;

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
  readonly #files = new WatchedFiles({ sweeper: this.#sweeper, wallMs, log: this.#log });
  readonly #exitPolicy: LiveExitPolicy;
  readonly #auth: RelayAuth;
  readonly #gate: ProxyGate;
  readonly #names: RelayNames;
  readonly #entries: RelayEntries;
  readonly #forwards: RelayForwards;
  readonly #sessions: RelaySessions;
  readonly #dialRequests: RelayDials;
  readonly #agentPort: AgentPort;
  readonly #ssh: OptionalSsh;
  /** The device's agent, or its SSH clients. */
  readonly #linkOf: LinkOf = (deviceId) => this.#agentPort.session(deviceId) ?? this.#ssh.link(deviceId);
  readonly #check: RelayCheck;
  readonly #refused: RefusedCredentials = { devices: 0, people: 0 };
  readonly #view: RelayView;
  readonly #reload: RelayReload;
  readonly #succession: Succession;
  readonly #metrics: ProcessMetrics;
  readonly #console: OwnConsole;
  readonly #side: SideServers;
  #settings: RelaySettings;
  #phase: RelayPhase = "starting";
  #stopping: Promise<void> | null = null;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#succession = new Succession(parts.succession);
    // Whoever looks at `closed` hears of a failure; it is nobody's duty to look.
    this.#ended.promise.catch(() => undefined);
    const { store } = parts;
    this.#certificate = this.#files.certificate(
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
    this.#gate = openProxyGate(this.#sweeper, (message) => this.#log.warn("{message}", { message }));
    this.#gate.change(parts.settings.proxyProtocolFrom);
    this.#names = new RelayNames({
      sweeper: this.#sweeper,
      gate: this.#gate,
      sharing: this.#succession.sharing,
      dataDir: parts.dataDir,
      files: this.#files,
      fallback: parts.identity.certificate,
      log: this.#log,
      signal: this.#abort.signal,
      settings: () => this.#settings,
      unexpected: (error) => this.#failed("a visitor could not be served by name", error),
    });
    this.#entries = new RelayEntries(
      this.#sweeper,
      this.#linkOf,
      this.#gate,
      this.#succession.sharing,
      this.#names.sites,
    );
    this.#forwards = new RelayForwards({
      store,
      entries: this.#entries,
      ports: parts.ports,
      policy: () =>
        relayPolicy(this.#settings, {
          agentPort: this.#listenAt().port,
          stun: this.#side.stun,
          page: this.#side.page,
          console: this.#console.listener,
          metrics: this.#side.metrics,
          names: this.#names.sitePorts,
          ssh: this.#ssh.listener,
        }),
      names: () => this.#names.policy(),
      publicHost: (from) => this.#publicHost(from),
      nowMs: monotonicMs,
      wallMs,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#check = new RelayCheck({
      forwards: this.#forwards,
      allowsPrivate: () => this.#settings.check.private,
      linkOf: this.#linkOf,
      ownAddresses: () => new Set(ownAddresses().map(({ address }) => address)),
      scarce: () => this.#sweeper.descriptors.scarce,
      nowMs: monotonicMs,
      signal: this.#abort.signal,
    });
    this.#sessions = new RelaySessions({
      forwards: this.#forwards,
      check: this.#check,
      linkOf: this.#linkOf,
      draining: () => this.#phase === "draining",
      troubleOf: (forward) => troubleOf(forward, this.#view),
      gate: this.#succession.gate,
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
      linkByName: (account, name) => this.#sessions.byName(account, name),
    });
    this.#ssh = new OptionalSsh({
      store,
      dataDir: parts.dataDir,
      forwards: this.#forwards,
      dials: this.#dialRequests,
      sessions: this.#sessions,
      sweeper: this.#sweeper,
      proxyGate: this.#gate,
      log: this.#log,
      agentPort: () => this.#agentPort,
      phase: () => this.#phase,
      publicHost: (localAddress) => this.#publicHost({ localAddress }),
      sharing: this.#succession.sharing,
      gate: this.#succession.gate,
      arrived: (deviceId) => {
        const isAlone = this.#succession.takeOver?.arrivedBySsh(deviceId) === true;
        if (isAlone && this.#agentPort.session(deviceId) === undefined) this.#forwards.openRest(deviceId);
      },
      refused: this.#refused,
      onUnexpected: (error) => this.#failed("the SSH server failed", error),
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
      sharing: this.#succession.sharing,
      proxyGate: this.#gate,
      gate: this.#succession.gate,
      log: this.#log,
    });
    this.#view = this.#makeView();
    this.#reload = new RelayReload({
      forwards: this.#forwards,
      exitPolicy: this.#exitPolicy,
      gate: this.#gate,
      agentPort: this.#agentPort,
      stun: () => this.#side.stun,
      looked: this.#files.all,
      readSettings: () => parts.readSettings(),
      settings: () => this.#settings,
      use: (settings) => {
        this.#settings = settings;
      },
    });
    const metrics = relayMetrics({
      relay: this.#view,
      refused: this.#refused,
      tunnel: () => this.#ssh.countsWith(this.#agentPort.counts),
    });
    const { gatewayMetrics } = parts;
    this.#metrics = new ProcessMetrics(this.#startedMs, [
      metrics,
      ...(gatewayMetrics === null ? [] : [gatewayMetrics]),
    ]);
    this.#side = new SideServers({
      check: this.#check,
      metrics: this.#metrics,
      ports: parts.ports,
      sharing: this.#succession.sharing,
      settings: () => this.#settings,
      listenAt: () => this.#listenAt(),
      signal: this.#abort.signal,
      warn: (message) => this.#log.warn("{message}", { message }),
      failed: (what, error) => this.#failed(what, error),
    });
    this.#console = new OwnConsole({
      relay: this.#view,
      gatewayBeside: parts.gatewayBeside,
      place: { dataDir: parts.dataDir, configFile: parts.configFile },
      relaySettings: () => this.#settings,
      settings: () => this.#settings.console,
      publicHost: () => this.#settings.publicHost,
      fallback: this.#certificate,
      proofPlace: (acme, homeUrl) => this.#names.proofPlace(acme, homeUrl),
      files: this.#files,
      metrics: () => this.#metrics.text(),
      onDenied: () => {
        this.#refused.people += 1;
      },
      sweeper: this.#sweeper,
      sharing: this.#succession.sharing,
      isWaiting: () => this.#succession.holdsStill(this.#phase),
      signal: this.#abort.signal,
      onUnexpected: (error) => this.#failed("the console failed", error),
    });
  }

  async start(): Promise<void> {
    const { takeOver } = this.#succession;
    if (takeOver === null) {
      // Before the public ports: when the agent port is not to be had, no visitor has come in.
      this.#agentPort.listen();
      this.#side.openPage();
      await this.#names.prepare();
      this.#names.listen();
      await this.#forwards.restore();
      await this.#side.startStun();
      await this.#side.openMetrics();
      await this.#console.start();
      await this.#ssh.start(this.#settings.ssh);
      this.#ssh.listen();
      this.#phase = "serving";
    } else await this.#succession.begin(takeOver, this.#amongOthers());
    this.#sweeper.add(this.#side);
    this.#sweeper.add({
      sweep: (nowMs) => {
        // Another process may decide by now.
        if (this.#phase !== "serving") return;
        if ((this.#forwards.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) void this.#forwards.expire();
      },
    });
  }

  /** What another process of this relay has to do with. */
  #amongOthers(): SuccessionOptions {
    return {
      agentPort: this.#agentPort,
      entries: this.#entries,
      forwards: this.#forwards,
      names: this.#names,
      ssh: this.#ssh,
      port: () => this.#settings.listen.port,
      phase: () => this.#phase,
      become: (phase) => {
        this.#phase = phase;
      },
      never: () => (this.#parts.gatewayBeside === null ? null : GATEWAY_BESIDE),
      record: () => this.#console.record(),
      servers: this.#servers,
      openServers: [
        // It takes longest to make, and asks whether it may listen when all else is done.
        (mayListen) => this.#console.start(mayListen),
        (mayListen) => mayListen(),
        async () => this.#side.openPage(),
        () => this.#side.openMetrics(),
        () => this.#side.startStun(),
        () => this.#ssh.start(this.#settings.ssh),
      ],
      otherVisits: () => this.#dialRequests.visits.size,
      drainLimitMs: () => (this.#settings.upgradeDrainSec ?? UPGRADE_DRAIN_SEC) * MS_PER_SEC,
      stop: (drainMs) => void this.stop(drainMs),
      failed: (what, error) => this.#failed(what, error),
      sweeper: this.#sweeper,
      signal: this.#abort.signal,
      log: this.#log,
    };
  }

  get #servers(): LentServers {
    return together([this.#side, this.#console]);
  }

  /** As the agent port is bound, once it is. */
  #listenAt(): HostPort {
    const { host, port } = this.#settings.listen;
    return { host, port: this.#agentPort.port ?? port };
  }

  async #seen({ peer, remoteAddress }: DeviceLink): Promise<void> {
    this.#ssh.agentUp(peer.deviceId);
    this.#succession.takeOver?.arrived(peer.deviceId);
    try {
      const seen = { deviceId: peer.deviceId, from: remoteAddress, keyFingerprint: null };
      if ((await noteSeen(this.#parts.store, seen, wallMs())) !== "revoked") return;
      this.#view.cut(peer.deviceId);
      await this.#forwards.removeDevice(peer.deviceId);
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
      session: this.#linkOf,
      listen: () => this.#listenAt(),
      publicHost: (link) => this.#publicHost(link),
      consoleUrl: () => this.#console.listener?.url ?? "",
      certificateOf: (host) => this.#names.certificateOf(host),
      consoleCertificate: () => this.#console.listener?.certificate() ?? null,
      ports: () => formatPortSet(poolOf(this.#settings)),
      draining: () => this.#phase === "draining",
      wallMs,
      accountChanged: async (accountId) => {
        await this.#forwards.accountChanged(accountId);
        await this.#console.accountChanged(accountId);
      },
      cut: (deviceId) => {
        this.#succession.cut(deviceId, this.#agentPort);
        this.#ssh.cut(deviceId);
      },
      handOver: () => this.#succession.handOver(this.#amongOthers()),
      cutSshKey: (deviceId, fingerprint) => this.#ssh.cutKey(deviceId, fingerprint),
      ssh: () => this.#ssh.ready().ssh,
      reload: () => this.#reload.run(),
    };
  }

  running(): RunningRelay {
    return {
      ...relayControl(this.#view),
      ready: {
        listen: this.#listenAt(),
        publicHost: this.#publicHost(undefined),
        fingerprint: Buffer.from(this.#certificate.current.fingerprint).toString("hex"),
        console: this.#console.ready(),
        metricsPort: this.#side.metrics?.port ?? null,
        ...this.#ssh.ready(),
      },
      closed: this.#ended.promise,
      stop: (options) => this.stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  /** The second call cuts the drain of the first short. */
  stop(drainMs: number): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    else {
      this.#succession.takeOver?.stop(drainMs);
      this.#stopping = this.#drainAndClose(drainMs);
      this.#stopping.then(this.#ended.resolve, this.#ended.reject);
    }
    return this.#stopping;
  }

  async #drainAndClose(drainMs: number): Promise<void> {
    this.#phase = "draining";
    this.#agentPort.stopListening();
    this.#ssh.stopListening();
    this.#dialRequests.drain();
    this.#names.drain();
    const open = [this.#dialRequests.visits, ...this.#ssh.passing];
    for (const shared of this.#entries.all()) {
      shared.drain();
      if (shared.entry !== null) open.push(shared.entry.visits);
    }
    const drained = [...open.map((visits) => visits.drained()), this.#names.drained()];
    await Promise.race([Promise.all(drained), this.#cutShort(drainMs)]);
    this.#abort.abort();
    await Promise.all([this.#succession.local.close(), this.#servers.close()]);
    await this.#console.record();
    await this.#names.close();
    this.#entries.closeAll();
    this.#dialRequests.visits.cutAll("shutdown");
    this.#agentPort.close();
    this.#ssh.close();
    this.#dials.close();
    await this.#forwards.idle();
    await this.#parts.store.close();
  }

  #cutShort(drainMs: number): Promise<void> {
    return drainMs <= 0 ? Promise.resolve() : pause(drainMs, this.#abort.signal);
  }
}
