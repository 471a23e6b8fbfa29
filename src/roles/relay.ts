import { DEFAULT_OPTIONS } from "../core/forward.ts";
import type { RelayPolicy } from "../core/policy.ts";
import { WindowBudget } from "../core/tunnel/window.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { directExit } from "../dataplanes/direct/exit.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import { entryError } from "../dataplanes/io/entry-error.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { RelayTunnel } from "../dataplanes/tunnel/relay.ts";
import type { Session } from "../dataplanes/tunnel/session.ts";
import { loadOrCreateRelayCertificate } from "../os/certificate.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { verifyDeviceSignature } from "../os/device-key.ts";
import { ownAddresses } from "../os/interfaces.ts";
import { areaLogger } from "../os/log.ts";
import { openDataDirectory } from "../os/paths.ts";
import { VERSION } from "../os/version.ts";
import { serveRelayControl } from "../servers/local/server.ts";
import { StoreFailure } from "../store/failure.ts";
import { openStore, type Store } from "../store/store.ts";
import { formatPortSet, type PortSet } from "../wire/port-set.ts";
import type { ControlMessage } from "../wire/tunnel/control.ts";
import { ControlError, type RelaySettings, type ReloadReport, type RunningRelay, type StartRelay } from "./control.ts";
import { refuseUnsafeEnvironment } from "./environment.ts";
import { LiveExitPolicy } from "./exits.ts";
import { RelayAuth } from "./relay/auth.ts";
import { relayControl } from "./relay/control.ts";
import { RelayDials } from "./relay/dials.ts";
import { RelayEntries } from "./relay/entries.ts";
import { RelayForwards } from "./relay/forwards.ts";
import { V } from "./views.ts";

/** Windows beyond the first 256 KiB of every stream, all streams of the process together (tunnel.md "Windows"). */
const WINDOW_BUDGET_BYTES = 96 * 1024 * 1024;
const LEASE_CHECK_MS = 1_000;
const DRAIN_MS = 30_000;

/** Runs a relay: agents connect to it, visitors come in by its public ports. */
export const startRelay: StartRelay = async ({ dataDir, readSettings }) => {
  refuseUnsafeEnvironment();
  const paths = await openDataDirectory(dataDir);
  if (!paths.ok) throw new ControlError("usage", paths.error.message);
  const settings = await readSettings();
  const certificate = await loadOrCreateRelayCertificate(dataDir, [publicHostOf(settings)], wallMs());
  if (!certificate.ok) throw new ControlError("failed", certificate.error.message);
  const store = await openStore(paths.value.database).catch((error: unknown) => {
    if (error instanceof StoreFailure) throw new ControlError("failed", error.message, { cause: error });
    throw error;
  });
  try {
    const relay = new Relay(store, settings, readSettings);
    await relay.start(certificate.value, paths.value.relaySocket);
    return relay.running();
  } catch (error) {
    await store.close();
    throw error;
  }
};

function publicHostOf(settings: RelaySettings): string {
  if (settings.publicHost !== null) return settings.publicHost;
  const addresses = ownAddresses().filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return (addresses.find(({ family }) => family === 4) ?? addresses[0])?.address ?? "127.0.0.1";
}

interface Certificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly fingerprint: Uint8Array;
}

class Relay {
  readonly #log = areaLogger("relay");
  readonly #ended = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly #sweeper = startSweeper(this.#abort.signal);
  readonly #dials = new Dials(this.#sweeper);
  readonly #startedMs = wallMs();
  /** One session's requests are handled in their order, and not before its rights are known. */
  readonly #queues = new WeakMap<Session, Promise<void>>();
  readonly #exitPolicy: LiveExitPolicy;
  readonly #auth: RelayAuth;
  readonly #entries: RelayEntries;
  readonly #forwards: RelayForwards;
  readonly #dialRequests: RelayDials;
  #tunnel: RelayTunnel | null = null;
  #local: { close(): Promise<void> } | null = null;
  #leases: Timer | null = null;
  #certificate: Certificate | null = null;
  #draining = false;
  #stopping: Promise<void> | null = null;

  constructor(
    readonly store: Store,
    private settings: RelaySettings,
    private readonly readSettings: () => Promise<RelaySettings>,
  ) {
    this.#exitPolicy = new LiveExitPolicy({
      rules: () => this.settings.allow,
      exposed: () => [],
      nowMs: monotonicMs,
      onRefused: ({ message }) => this.#log.info("{message}", { message }),
    });
    this.#auth = new RelayAuth({
      store,
      nowMs: monotonicMs,
      wallMs,
      random: Math.random,
      onDenied: (address, afterMs) => this.#log.warn("a credential was refused", { address, afterMs }),
      onEnrolled: ({ name, id }) => this.#log.info("a device enrolled", { device: name, id }),
    });
    this.#entries = new RelayEntries(this.#sweeper, (device) => this.#tunnel?.session(device));
    this.#forwards = new RelayForwards({
      store,
      entries: this.#entries,
      policy: () => this.#policy(),
      publicHost: (session) => this.#publicHost(session),
      nowMs: monotonicMs,
      wallMs,
      warn: (message) => this.#log.warn("{message}", { message }),
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
      sessionByName: (account, name) => this.#sessionByName(account, name),
    });
  }

  async start(certificate: Certificate, socketPath: string): Promise<void> {
    this.#certificate = certificate;
    await this.#forwards.restore();
    this.#tunnel = this.#listen(certificate);
    this.#local = serveRelayControl(this.#control(), {
      path: socketPath,
      onUnexpected: (error) => this.#log.error("a local request failed: {error}", { error: String(error) }),
    });
    this.#leases = setInterval(() => {
      if ((this.#forwards.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) > monotonicMs()) return;
      this.#forwards.expire().catch((error: unknown) => this.#failed("leases could not be ended", error));
    }, LEASE_CHECK_MS);
  }

  #listen({ certificatePem, keyPem }: Certificate): RelayTunnel {
    const { host, port } = this.settings.listen;
    try {
      return new RelayTunnel({
        hostname: host === "*" ? "::" : host,
        port,
        certificate: { cert: certificatePem, key: keyPem },
        clientCa: null,
        publicHost: (localAddress) => this.settings.publicHost ?? localAddress,
        budget: new WindowBudget(WINDOW_BUDGET_BYTES),
        nowMs: monotonicMs,
        verify: verifyDeviceSignature,
        admit: (address) => !this.#draining && this.#auth.admit(address),
        settled: (address, outcome) => this.#auth.settled(address, outcome),
        authenticate: (credentials, address) => this.#auth.authenticate(credentials, address),
        events: {
          onReady: (session) => this.#sessionUp(session),
          onControl: (session, message) => this.#enqueue(session, () => this.#onControl(session, message)),
          onStream: (session, request, stream) => this.#dialRequests.onStream(session, request, stream),
          onFlow: (session, request, flow) => this.#dialRequests.onFlow(session, request, flow),
          onClose: (session, why) => this.#sessionDown(session, why),
        },
      });
    } catch (error) {
      throw new ControlError("failed", entryError(error, "tcp", host, port).message, { cause: error });
    }
  }

  #sessionUp(session: Session): void {
    const { peer } = session;
    this.#log.info("a device connected", { device: peer.name, address: session.remoteAddress });
    this.#enqueue(session, async () => {
      await this.#forwards.sessionUp(peer);
      await this.store.devices.touch(peer.deviceId, session.remoteAddress, wallMs());
    });
  }

  #sessionDown(session: Session, why: string): void {
    const { peer } = session;
    this.#log.info("a device's session ended", { device: peer.name, why });
    // After a takeover the newer session's forwards are set up by `put`; the leases must not run meanwhile.
    if (this.#tunnel?.session(peer.deviceId) !== undefined) return;
    // At the next start every lease runs anew.
    if (this.#draining) return;
    this.#forwards.sessionDown(peer).catch((error: unknown) => this.#failed("a session's end was not stored", error));
  }

  #enqueue(session: Session, work: () => Promise<void>): void {
    const before = this.#queues.get(session) ?? Promise.resolve();
    const next = before.then(work).catch((error: unknown) => {
      this.#failed("a device's request failed", error);
      session.close("the relay could not carry out a request");
    });
    this.#queues.set(session, next);
  }

  #failed(what: string, error: unknown): void {
    this.#log.error("{what}: {error}", { what, error: error instanceof Error ? error.message : String(error) });
  }

  async #onControl(session: Session, message: ControlMessage): Promise<void> {
    if (session.isClosed) return;
    const device = session.peer.deviceId;
    switch (message.t) {
      case "put": {
        const outcome = await this.#forwards.put(session, message.handle, message.spec);
        session.send({ t: "result", rid: message.rid, outcome });
        return;
      }
      case "remove":
        await this.#forwards.remove(device, message.id);
        session.send({ t: "result", rid: message.rid, outcome: { kind: "done" } });
        return;
      case "sync":
        await this.#forwards.sync(device, message.ids);
        session.send({ t: "result", rid: message.rid, outcome: { kind: "done" } });
        return;
      case "stats":
        session.send({
          t: "result",
          rid: message.rid,
          outcome: { kind: "stats", forwards: this.#stats(device, message.ids) },
        });
        return;
      case "health":
        this.#forwards.setHealthy(device, message.id, message.healthy);
        return;
      case "hello":
      case "welcome":
      case "denied":
      case "result":
      case "bye":
        session.close(`the device sent ${message.t}, which is not its to send`);
        return;
      default:
        return message satisfies never;
    }
  }

  #stats(device: string, ids: readonly string[]) {
    return ids.flatMap((id) => {
      const forward = this.#forwards.get(device, id);
      const counters = forward === null ? undefined : this.#forwards.entryOf(forward)?.entry?.visits.counters;
      if (counters === undefined) return [];
      return [
        {
          id,
          visitors: counters.visitorsTotal,
          open: counters.visitorsOpen,
          bytesIn: counters.bytesIn,
          bytesOut: counters.bytesOut,
          refused: counters.refused() as Record<string, number>,
        },
      ];
    });
  }

  #sessionByName(account: string, name: string): Session | undefined {
    for (const session of this.#tunnel?.allSessions() ?? []) {
      if (session.peer.account === account && session.peer.name === name) return session;
    }
    return undefined;
  }

  #policy(): RelayPolicy {
    const port = this.#tunnel?.port ?? this.settings.listen.port;
    return {
      pool: poolOf(this.settings),
      reserved: [{ protocol: "tcp", port, purpose: "the relay's agent port" }],
      denied: { ranges: [] },
    };
  }

  #publicHost(session: Session | undefined): string {
    return this.settings.publicHost ?? session?.localAddress ?? publicHostOf(this.settings);
  }

  #control() {
    const fingerprint = this.#certificate?.fingerprint ?? new Uint8Array(32);
    return relayControl({
      store: this.store,
      forwards: this.#forwards,
      dials: this.#dialRequests,
      fingerprint,
      version: VERSION,
      startedMs: this.#startedMs,
      session: (deviceId) => this.#tunnel?.session(deviceId),
      listen: () => ({ host: this.settings.listen.host, port: this.#tunnel?.port ?? 0 }),
      publicHost: (session) => this.#publicHost(session),
      ports: () => formatPortSet(poolOf(this.settings)),
      draining: () => this.#draining,
      wallMs,
      cut: (deviceId) => this.#tunnel?.revoke(deviceId),
      reload: () => this.#reload(),
    });
  }

  async #reload(): Promise<ReloadReport> {
    const next = await this.readSettings();
    const changed: string[] = [];
    const needRestart: string[] = [];
    if (next.listen.host !== this.settings.listen.host || next.listen.port !== this.settings.listen.port) {
      needRestart.push("relay.listen");
    }
    for (const key of ["publicHost", "ports", "allow"] as const) {
      if (!Bun.deepEquals(next[key], this.settings[key]))
        changed.push(`relay.${key === "publicHost" ? "public" : key}`);
    }
    this.settings = { ...next, listen: this.settings.listen };
    this.#exitPolicy.changed();
    return { ...V, added: [], changed, removed: [], unchanged: this.#forwards.size, refused: [], needRestart };
  }

  running(): RunningRelay {
    const { host } = this.settings.listen;
    const certificate = this.#certificate;
    return {
      ...this.#control(),
      ready: {
        listen: { host, port: this.#tunnel?.port ?? 0 },
        publicHost: this.#publicHost(undefined),
        fingerprint: Buffer.from(certificate?.fingerprint ?? []).toString("hex"),
      },
      closed: this.#ended.promise,
      stop: (options) => this.#stop(options?.drainMs ?? DRAIN_MS),
    };
  }

  /** The second call cuts the drain of the first short. */
  #stop(drainMs: number): Promise<void> {
    if (this.#stopping !== null) this.#abort.abort();
    this.#stopping ??= this.#drainAndClose(drainMs);
    return this.#stopping;
  }

  async #drainAndClose(drainMs: number): Promise<void> {
    this.#draining = true;
    this.#tunnel?.stopListening();
    const entries = [...this.#entries.all()];
    for (const entry of entries) entry.drain();
    const drained = Promise.all(
      [this.#dialRequests.visits, ...entries.flatMap(({ entry }) => (entry === null ? [] : [entry.visits]))].map(
        (visits) => visits.drained(),
      ),
    );
    await Promise.race([drained, this.#cutShort(drainMs)]);
    this.#abort.abort();
    if (this.#leases !== null) clearInterval(this.#leases);
    await this.#local?.close();
    for (const entry of entries) entry.close();
    this.#dialRequests.visits.cutAll("shutdown");
    this.#tunnel?.close();
    this.#dials.close();
    await this.store.close();
    this.#ended.resolve();
  }

  #cutShort(drainMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, drainMs);
    this.#abort.signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }
}

function poolOf(settings: RelaySettings): PortSet {
  return { ranges: settings.ports };
}
