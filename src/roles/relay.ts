import { DEFAULT_OPTIONS } from "../core/forward.ts";
import type { RelayPolicy } from "../core/policy.ts";
import { type EntryPorts, newEntryPorts } from "../core/table.ts";
import { WindowBudget } from "../core/tunnel/window.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { directExit } from "../dataplanes/direct/exit.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import { entryError } from "../dataplanes/io/entry-error.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { RelayTunnel } from "../dataplanes/tunnel/relay.ts";
import type { Session } from "../dataplanes/tunnel/session.ts";
import type { RelayCertificate } from "../os/certificate.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { verifyDeviceSignature } from "../os/device-key.ts";
import { messageOf } from "../os/errors.ts";
import { ownAddresses } from "../os/interfaces.ts";
import { areaLogger } from "../os/log.ts";
import { openDataDirectory } from "../os/paths.ts";
import { loadReflection } from "../os/reflection.ts";
import { VERSION } from "../os/version.ts";
import type { CheckServer } from "../servers/check/server.ts";
import type { HttpListener } from "../servers/http-listen.ts";
import { type LocalServer, serveRelayControl } from "../servers/local/server.ts";
import { StoreFailure } from "../store/failure.ts";
import { openStore, type Store } from "../store/store.ts";
import { formatPortSet } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { ASSIGN_FEATURE, CHECK_FEATURE } from "../wire/tunnel/control.ts";
import { takeRestore } from "./backup/start.ts";
import { openCertificate } from "./certificate/open.ts";
import { type CertificateSource, tlsPair } from "./certificate/source.ts";
import { loadPair, loadRelayIdentity, type RelayIdentity } from "./certificates.ts";
import type { OpenConsole } from "./console/open.ts";
import {
  type CertificateFiles,
  type ConsoleSettings,
  ControlError,
  type RelayControl,
  type RelaySettings,
  type ReloadReport,
  type RunningRelay,
  type StartRelay,
  type StartRelayOptions,
} from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { LiveExitPolicy } from "./exits.ts";
import { openMetrics } from "./metrics/open.ts";
import { type MetricSource, ProcessMetrics } from "./metrics/page.ts";
import { pause } from "./pause.ts";
import { RelayAuth } from "./relay/auth.ts";
import { RelayCheck } from "./relay/check.ts";
import { openCheckPage } from "./relay/check-page.ts";
import { type RelayView, relayControl } from "./relay/control.ts";
import { RelayDials } from "./relay/dials.ts";
import { RelayEntries } from "./relay/entries.ts";
import { RelayForwards } from "./relay/forwards.ts";
import { type RefusedCredentials, relayMetrics } from "./relay/metrics.ts";
import { ownPort, poolOf } from "./relay/own-ports.ts";
import { changeSettings, lookAtCertificates } from "./relay/reload.ts";
import { RelaySessions } from "./relay/sessions.ts";
import { RelayStun } from "./relay/stun.ts";
import { startingRelay } from "./starting.ts";
import { V } from "./views.ts";

/** Windows beyond the first 256 KiB of every stream, all streams of the process together (tunnel.md "Windows"). */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 30_000;

/** Runs a relay: agents connect to it, visitors come in by its public ports. */
export const startRelay: StartRelay = async (options) => {
  const { dataDir, readSettings, ports = newEntryPorts(), gatewayMetrics = null, gatewayBeside = null } = options;
  const { configFile = null } = options;
  refuseUnsafeEnvironment();
  const paths = await openDataDirectory(dataDir);
  if (!paths.ok) throw new ControlError("usage", paths.error.message);
  let settings = await readSettings();
  const log = areaLogger("relay");
  const control = Promise.withResolvers<RelayControl>();
  // A start that fails is told by its own error; a local request that waits for it, if any, hears of it as well.
  control.promise.catch(() => undefined);
  const local = serveRelayControl(startingRelay(control.promise), {
    path: paths.value.relaySocket,
    onUnexpected: (error) => log.error("a local request failed: {error}", { error: String(error) }),
  });
  let store: Store | null = null;
  let relay: Relay | null = null;
  try {
    const restored = await takeRestore(paths.value, "relay", (message) => log.warn("{message}", { message }));
    // Its config file may have come with it.
    if (restored) settings = await readSettings();
    const identity = await loadRelayIdentity(settings, dataDir, publicHostOf(settings), wallMs());
    store = await openStore(paths.value.database);
    relay = new Relay({
      store,
      local,
      identity,
      settings,
      readSettings,
      ports,
      gatewayMetrics,
      gatewayBeside,
      dataDir: paths.value.directory,
      configFile,
    });
    await relay.start();
    const running = relay.running();
    control.resolve(running);
    return running;
  } catch (error) {
    const failure = error instanceof StoreFailure ? new ControlError("failed", error.message, { cause: error }) : error;
    control.reject(failure);
    if (relay !== null) await relay.stop(0);
    else {
      await local.close();
      await store?.close();
    }
    throw failure;
  }
};

function publicHostOf(settings: RelaySettings): string {
  if (settings.publicHost !== null) return settings.publicHost;
  const addresses = ownAddresses().filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return (addresses.find(({ family }) => family === 4) ?? addresses[0])?.address ?? "127.0.0.1";
}

interface RelayParts {
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

class Relay {
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
  readonly #check: RelayCheck;
  readonly #refused: RefusedCredentials = { devices: 0, people: 0 };
  readonly #metrics: ProcessMetrics;
  #metricsListener: HttpListener | null = null;
  #page: CheckServer | null = null;
  #console: OpenConsole | null = null;
  #settings: RelaySettings;
  #tunnel: RelayTunnel | null = null;
  #stun: RelayStun | null = null;
  /** Devices are let in while the relay serves: not before it knows what it holds, nor while it drains. */
  #phase: "starting" | "serving" | "draining" = "starting";
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
    const session = (device: string) => this.#tunnel?.session(device);
    this.#entries = new RelayEntries(this.#sweeper, session);
    this.#forwards = new RelayForwards({
      store,
      entries: this.#entries,
      ports: parts.ports,
      policy: () => this.#policy(),
      publicHost: (from) => this.#publicHost(from),
      nowMs: monotonicMs,
      wallMs,
      warn: (message) => this.#log.warn("{message}", { message }),
    });
    this.#check = new RelayCheck({
      forwards: this.#forwards,
      allowsPrivate: () => this.#settings.check.private,
      session: (device) => this.#tunnel?.session(device),
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
    const metrics = relayMetrics({
      relay: this.#view(),
      refused: this.#refused,
      tunnel: () => ({ sessions: this.#tunnel?.sessionCount ?? 0, pending: this.#tunnel?.pendingCount ?? 0 }),
    });
    const { gatewayMetrics } = parts;
    this.#metrics = new ProcessMetrics(this.#startedMs, [
      metrics,
      ...(gatewayMetrics === null ? [] : [gatewayMetrics]),
    ]);
  }

  async start(): Promise<void> {
    // Before the public ports: when the agent port is not to be had, no visitor has come in.
    this.#tunnel = this.#listen();
    this.#certificate.follow((certificate) => this.#renewTunnel(certificate));
    this.#page = openCheckPage(
      this.#check,
      () => this.#settings,
      (error) => this.#failed("the check page failed", error),
    );
    await this.#forwards.restore();
    await this.#startStun(this.#tunnel.port);
    const { console: section, metrics } = this.#settings;
    const failed = (error: unknown) => this.#failed("the metrics could not be read", error);
    this.#metricsListener = await openMetrics(metrics, () => this.#metrics.text(), failed);
    if (section !== null) this.#console = await this.#openConsole(section);
    this.#phase = "serving";
    this.#sweeper.add({
      sweep: (nowMs) => {
        if ((this.#forwards.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) void this.#forwards.expire();
      },
    });
  }

  #listen(): RelayTunnel {
    const { host, port } = this.#settings.listen;
    const { clientCa } = this.#parts.identity;
    try {
      return new RelayTunnel({
        hostname: host === "*" ? "::" : host,
        port,
        certificate: tlsPair(this.#certificate.current),
        clientCa,
        features: [ASSIGN_FEATURE, CHECK_FEATURE],
        version: VERSION,
        wallMs,
        publicHost: (localAddress) => this.#settings.publicHost ?? localAddress,
        budget: new WindowBudget(WINDOW_BUDGET_BYTES),
        sweeper: this.#sweeper,
        nowMs: monotonicMs,
        verify: verifyDeviceSignature,
        admit: (address) => this.#phase === "serving" && this.#auth.admit(address),
        settled: (address, outcome) => this.#auth.settled(address, outcome),
        authenticate: (credentials, address) => this.#auth.authenticate(credentials, address),
        events: {
          onReady: (session) => {
            this.#log.info("a device connected", { device: session.peer.name, address: session.remoteAddress });
            this.#sessions.up(session);
          },
          onControl: (session, message) => this.#sessions.onControl(session, message),
          onStream: (session, request, stream) => this.#dialRequests.onStream(session, request, stream),
          onFlow: (session, request, flow) => this.#dialRequests.onFlow(session, request, flow),
          onClose: (session, why) => {
            this.#log.info("a device's session ended", { device: session.peer.name, why });
            this.#sessions.down(session);
          },
        },
      });
    } catch (error) {
      throw new ControlError("failed", entryError(error, "tcp", host, port).message, { cause: error });
    }
  }

  #renewTunnel(certificate: RelayCertificate): Result<null, string> {
    // While it drains it is not to listen again.
    if (this.#tunnel === null || this.#phase === "draining") return ok(null);
    try {
      this.#tunnel.renew(tlsPair(certificate));
      return ok(null);
    } catch (error) {
      return err(entryError(error, "tcp", this.#settings.listen.host, this.#tunnel.port).message);
    }
  }

  #certificateOf(key: string, files: CertificateFiles | null, current: RelayCertificate): CertificateSource {
    const source = openCertificate(key, files, current, { sweeper: this.#sweeper, wallMs, log: this.#log });
    this.#certificates.set(key, source);
    return source;
  }

  async #startStun(port: number): Promise<void> {
    const stun = await RelayStun.start({
      listen: { host: this.#settings.listen.host, port },
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
    try {
      await this.#parts.store.devices.touch(peer.deviceId, remoteAddress, wallMs());
    } catch (error) {
      this.#failed("when a device was seen could not be stored", error);
    }
  }

  #failed(what: string, error: unknown): void {
    this.#log.error("{what}: {error}", { what, error: messageOf(error) });
  }

  #policy(): RelayPolicy {
    const port = this.#tunnel?.port ?? this.#settings.listen.port;
    return {
      pool: poolOf(this.#settings),
      reserved: [
        { protocol: "tcp", port, purpose: "the relay's agent port" },
        ...(this.#stun?.reserved ?? []),
        ...ownPort(this.#page, "the relay's check page"),
        ...ownPort(this.#console, "the relay's console"),
        ...ownPort(this.#console?.acme ?? null, "where [acme] proves the console's names"),
        ...ownPort(this.#metricsListener, "the relay's metrics"),
      ],
      denied: { ranges: [] },
    };
  }

  #publicHost(session: Session | undefined): string {
    return this.#settings.publicHost ?? session?.localAddress ?? publicHostOf(this.#settings);
  }

  /** What local commands, and the console, ask and change. */
  #view(): RelayView {
    const { store, identity } = this.#parts;
    return {
      store,
      forwards: this.#forwards,
      dials: this.#dialRequests,
      fingerprint: () => this.#certificate.current.fingerprint,
      trust: identity.trust,
      version: VERSION,
      startedMs: this.#startedMs,
      session: (deviceId) => this.#tunnel?.session(deviceId),
      listen: () => ({ host: this.#settings.listen.host, port: this.#tunnel?.port ?? 0 }),
      publicHost: (session) => this.#publicHost(session),
      consoleUrl: () => this.#console?.url ?? "",
      consoleCertificate: () => this.#console?.certificate() ?? null,
      ports: () => formatPortSet(poolOf(this.#settings)),
      draining: () => this.#phase === "draining",
      wallMs,
      cut: (deviceId) => this.#tunnel?.revoke(deviceId),
      reload: () => this.#reload(),
    };
  }

  async #openConsole(settings: ConsoleSettings): Promise<OpenConsole> {
    // It takes a moment to load, and many relays have none.
    await loadReflection();
    const { openRelayConsole } = await import("./relay/console.ts");
    const { certificate: files } = settings;
    const certificate =
      files === null
        ? this.#certificate
        : this.#certificateOf("console.certificate", files, await loadPair(files, wallMs()));
    const opened = await openRelayConsole({
      relay: this.#view(),
      beside: (await this.#parts.gatewayBeside?.()) ?? null,
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
      signal: this.#abort.signal,
      onUnexpected: (error) => this.#failed("the console failed", error),
    });
    if (opened.acme !== null) this.#certificates.set("acme", opened.acme.certificate);
    return opened;
  }

  async #reload(): Promise<ReloadReport> {
    const next = await this.#parts.readSettings();
    const { renewed, refused } = await lookAtCertificates(this.#certificates);
    const { settings, changed, needRestart } = changeSettings(this.#settings, next);
    this.#settings = settings;
    this.#exitPolicy.changed();
    this.#stun?.refresh();
    return {
      ...V,
      added: [],
      changed: [...changed, ...renewed],
      removed: [],
      unchanged: this.#forwards.size,
      refused,
      needRestart,
    };
  }

  running(): RunningRelay {
    const { host } = this.#settings.listen;
    return {
      ...relayControl(this.#view()),
      ready: {
        listen: { host, port: this.#tunnel?.port ?? 0 },
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
      this.#stopping = this.#drainAndClose(drainMs);
      this.#stopping.then(this.#ended.resolve, this.#ended.reject);
    }
    return this.#stopping;
  }

  async #drainAndClose(drainMs: number): Promise<void> {
    this.#phase = "draining";
    this.#tunnel?.stopListening();
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
    this.#tunnel?.close();
    this.#dials.close();
    await this.#forwards.idle();
    await this.#parts.store.close();
  }

  #cutShort(drainMs: number): Promise<void> {
    return drainMs <= 0 ? Promise.resolve() : pause(drainMs, this.#abort.signal);
  }
}
