import { MappingBook } from "../../core/mapping/book.ts";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { EntryPorts } from "../../core/table.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { messageOf } from "../../os/errors.ts";
import { listeningPorts } from "../../os/listening.ts";
import { areaLogger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import type { HttpListener } from "../../servers/http-listen.ts";
import type { LocalServer } from "../../servers/local/server.ts";
import { FIRST_ACCOUNT_ID } from "../../store/accounts.ts";
import type { Store } from "../../store/store.ts";
import { COUNTRY_KEY } from "../console/open-countries.ts";
import {
  ControlError,
  type EventsRequest,
  type GatewayControl,
  type ReloadReport,
  type RunningGateway,
} from "../control.ts";
import { openMetrics } from "../metrics/open.ts";
import { type MetricSource, ProcessMetrics } from "../metrics/page.ts";
import { GatewayAlignment } from "./alignment.ts";
import type { GatewayConsoleOptions, OpenGatewayConsole } from "./console.ts";
import { type GatewayView, gatewayControl } from "./control.ts";
import { gatewayDesk } from "./desk.ts";
import { GatewayFacts } from "./facts.ts";
import { fixedSpecs } from "./fixed.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import { GatewayMappings } from "./mappings.ts";
import { gatewayMetrics } from "./metrics.ts";
import { GatewayNews } from "./news.ts";
import { GatewayPeers } from "./peers.ts";
import { GatewayPolicy } from "./policy.ts";
import { GatewayReload } from "./reload.ts";
import { GatewayServers } from "./servers.ts";
import type { GatewaySettings } from "./settings.ts";
import { Surroundings } from "./surroundings.ts";
import { GatewayTick } from "./tick.ts";
import { GatewayTriggers } from "./triggers.ts";
import { deviceOf, GatewayVpn } from "./vpn.ts";

export interface GatewayParts {
  readonly store: Store;
  /** Open since before anything else: it holds the lock on the data directory. */
  readonly local: LocalServer;
  readonly kernel: GatewayKernel;
  /** Resolves when the privileged helper is gone; without it nothing can be changed any more. */
  readonly helperEnded: Promise<void>;
  endHelper(): Promise<void>;
  readonly settings: GatewaySettings;
  readonly readSettings: () => Promise<GatewaySettings>;
  readonly ports: EntryPorts;
  readonly dataDir: string;
  readonly configFile: string | null;
  /** Opens the console; null = there is none. */
  readonly console: ((options: Omit<GatewayConsoleOptions, "prepared">) => Promise<OpenGatewayConsole>) | null;
  nowMs(): number;
  wallMs(): number;
}

/** The request that stops the gateway is answered before its socket goes. */
const ANSWER_MS = 1_000;

/** A gateway that runs: it wires the book, the kernel, the store and the servers together. */
export class Gateway {
  readonly #log = areaLogger("gateway");
  readonly #parts: GatewayParts;
  readonly #abort = new AbortController();
  readonly #resolver = systemResolver();
  readonly #ended = Promise.withResolvers<void>();
  /** The kernel is as it is to stay. */
  readonly #left = Promise.withResolvers<void>();
  readonly #startedMs: number;
  readonly #book: MappingBook;
  readonly #mappings: GatewayMappings;
  readonly #triggers: GatewayTriggers;
  readonly #vpn: GatewayVpn;
  readonly #around: Surroundings;
  readonly #policy: GatewayPolicy;
  readonly #news: GatewayNews;
  readonly #facts: GatewayFacts;
  readonly #alignment: GatewayAlignment;
  readonly #view: GatewayView;
  readonly #reload: GatewayReload;
  readonly #metrics: MetricSource;
  #metricsListener: HttpListener | null = null;
  #servers: GatewayServers | null = null;
  #console: OpenGatewayConsole | null = null;
  #settings: GatewaySettings;
  #epoch: ServerEpoch;
  #stopping: Promise<void> | null = null;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#startedMs = parts.wallMs();
    this.#epoch = ServerEpoch.lost(parts.nowMs());
    // Whoever looks at `closed` hears of a failure; it is nobody's duty to look.
    this.#ended.promise.catch(() => undefined);
    this.#left.promise.catch(() => undefined);
    const { store, kernel, nowMs, wallMs } = parts;
    const warn = this.#warn;
    this.#around = new Surroundings({
      settings: () => this.#settings,
      vpn: () => this.#vpn.natSettings(),
      kernel,
      ownPorts: () => this.#alignment.insideOnly(),
      nowMs,
      log: this.#log,
    });
    this.#vpn = new GatewayVpn({
      store,
      device: kernel.vpn,
      wallMs,
      endpointHost: () => this.#around.externalAddress(),
      otherNetworks: () => this.#around.otherNetworks(),
      warn,
    });
    this.#book = new MappingBook({
      ownerOf: (address) => {
        const peer = this.#vpn.peerAt(address);
        // LAN hosts have no account of their own: they are the operator's.
        return { account: peer?.account ?? FIRST_ACCOUNT_ID, device: peer === null ? address : deviceOf(peer.id) };
      },
      holderName: (device) => this.#vpn.peerOf(device)?.name ?? device,
      ports: parts.ports,
      isSticky: (device) => this.#vpn.peerOf(device) !== null,
    });
    this.#mappings = new GatewayMappings({
      book: this.#book,
      plane: kernel.plane,
      store,
      limits: () => this.#settings.limits,
      isOpen: (spec) => this.#vpn.closedBy(spec) === null && !this.#vpn.isCovered(spec),
      extraEntries: () => this.#vpn.openEntries(),
      nowMs,
      wallMs,
      onNews: (news) => this.#news.tell(news),
      warn,
    });
    this.#news = new GatewayNews({
      signal: this.#abort.signal,
      log: this.#log,
      wallMs,
      externalAddress: () => this.#around.externalAddress(),
      endsMs: (held) => {
        const leftMs = this.#book.remainingMs(held, nowMs());
        return leftMs === null ? null : Math.ceil(wallMs() + leftMs);
      },
    });
    this.#facts = new GatewayFacts({ store, wallMs });
    this.#triggers = new GatewayTriggers({ store, wallMs, warn, apply: () => this.#alignment.applyRules() });
    this.#policy = new GatewayPolicy({
      settings: () => this.#settings,
      network: () => this.#around.network,
      ownPorts: () => this.#alignment.insideOnly(),
      listening: () => listeningPorts(),
      peerRights: (address) => this.#vpn.rights(address),
      nowMs,
    });
    this.#alignment = new GatewayAlignment({
      kernel,
      mappings: this.#mappings,
      triggers: this.#triggers,
      vpn: this.#vpn,
      around: this.#around,
      facts: this.#facts,
      settings: () => this.#settings,
      servers: () => this.#servers,
      epoch: () => this.#epoch,
      consolePorts: () => this.#console?.insidePorts() ?? [],
      warn,
    });
    this.#view = this.#makeView();
    this.#reload = new GatewayReload({
      view: this.#view,
      around: this.#around,
      news: this.#news,
      alignment: this.#alignment,
      readSettings: () => parts.readSettings(),
      settings: () => this.#settings,
      use: (settings) => {
        this.#settings = settings;
      },
      log: this.#log,
    });
    this.#metrics = gatewayMetrics(this.#view);
  }

  async start(): Promise<void> {
    const { nowMs, wallMs, kernel } = this.#parts;
    await this.#vpn.start(this.#settings.vpn, this.#settings.vpnWanted);
    this.#around.lookAgain();
    // What may be wrong with a key file or a port is told while the kernel is as it was.
    await this.#news.follow(this.#settings, this.#vpn.interfaceName ?? "");
    const metrics = new ProcessMetrics(this.#startedMs, [this.#metrics]);
    const failed = (error: unknown) =>
      this.#log.error("the metrics could not be read: {error}", { error: messageOf(error) });
    this.#metricsListener = await openMetrics(this.#settings.metrics, () => metrics.text(), failed);
    await this.#triggers.restore(this.#settings.triggers);
    this.#epoch = await this.#mappings.restore(await fixedSpecs(this.#view, this.#settings.mappings, this.#warn));
    this.#servers = new GatewayServers({
      desk: gatewayDesk({
        book: this.#book,
        mappings: this.#mappings,
        epoch: this.#epoch,
        policyFor: (requester) => this.#policy.of(requester),
        externalAddress: () => this.#around.externalAddress(),
        counters: () => this.#servers?.counters(this.#settings.wan) ?? Promise.reject(new Error("not started")),
        nowMs,
        upSinceMs: () => this.#around.upSinceMs,
        refused: (message) => this.#log.info("{message}", { message }),
      }),
      epoch: this.#epoch,
      nowMs,
      wallMs,
      seed: await this.#facts.igdSeed(),
      lastHttpPort: await this.#facts.httpPort(),
      signal: this.#abort.signal,
      log: this.#log,
    });
    this.#alignment.applyServers();
    this.#console = await this.#openConsole(metrics);
    await this.#alignment.applyRules();
    this.#console?.startRecording();
    const notForwarding = await kernel.forward(this.#settings.wan);
    if (notForwarding !== null) throw new ControlError("failed", notForwarding);
    await this.#around.lookForFirewalls("when it is time");
    for (const held of this.#book.list()) this.#news.tell({ event: "opened", held, reason: null });
    this.#log.info("the gateway is ready", { wan: this.#settings.wan, lan: this.#settings.lan });
    void this.#parts.helperEnded.then(() => this.#helperGone());
    this.#startTicking();
  }

  async #reloadAll(): Promise<ReloadReport> {
    const report = await this.#reload.run();
    const looked = (await this.#console?.countries?.look()) ?? { kind: "same" };
    if (looked.kind === "renewed") return { ...report, changed: [...report.changed, COUNTRY_KEY] };
    return looked.kind === "refused" ? { ...report, refused: [...report.refused, looked.message] } : report;
  }

  #warn = (message: string): void => this.#log.warn("{message}", { message });

  #helperGone(): void {
    if (this.#stopping !== null) return;
    const message = "The gateway's privileged helper ended: see the lines above, and start the gateway again.";
    this.#stopping = this.#close();
    void this.#stopping.then(() => this.#ended.reject(new ControlError("failed", message)), this.#ended.reject);
  }

  #startTicking(): void {
    const tick = new GatewayTick({
      book: this.#book,
      mappings: this.#mappings,
      triggers: this.#triggers,
      plane: this.#parts.kernel.plane,
      vpn: this.#vpn,
      around: this.#around,
      alignment: this.#alignment,
      nowMs: this.#parts.nowMs,
      onFailure: (error) => {
        if (this.#stopping === null) this.#log.error("{error}", { error: messageOf(error) });
      },
    });
    tick.start(this.#abort.signal);
  }

  async #openConsole(metrics: ProcessMetrics): Promise<OpenGatewayConsole | null> {
    const { console, dataDir, configFile } = this.#parts;
    return (
      (await console?.({
        gateway: this.#view,
        place: { dataDir, configFile },
        metrics: () => metrics.text(),
        network: () => this.#around.network,
        signal: this.#abort.signal,
        onUnexpected: (error) => this.#log.error("the console failed: {error}", { error: messageOf(error) }),
      })) ?? null
    );
  }

  #makeView(): GatewayView {
    const view = {
      book: this.#book,
      mappings: this.#mappings,
      triggers: this.#triggers,
      kernel: this.#parts.kernel,
      vpn: this.#vpn,
      version: VERSION,
      startedMs: this.#startedMs,
      nowMs: this.#parts.nowMs,
      wallMs: this.#parts.wallMs,
      store: this.#parts.store,
      // Agents are a relay's.
      endDevice: () => Promise.resolve(),
      accountChanged: () => this.#vpn.ownersChanged(),
      consoleUrl: () => this.#console?.url ?? "",
      facts: () => this.#statusFacts(),
      externalAddress: () => this.#around.externalAddress(),
      followPeers: () => this.#alignment.followPeers(),
      resolver: this.#resolver,
      snatPorts: () => this.#settings.snatPorts,
      isInside: (address: string) => this.#around.isInside(address),
      reserved: () => this.#policy.reserved(),
      reload: () => this.#reloadAll(),
      events: (request: EventsRequest, signal: AbortSignal) => this.#news.events(request, signal),
      stop: async (options: { readonly clean: boolean }) => {
        void this.stop(options);
        await this.#left.promise;
      },
    };
    return { ...view, peers: new GatewayPeers(view) };
  }

  #statusFacts() {
    const { wan, lan } = this.#settings;
    const externalAddress = this.#around.externalAddress();
    const servers = this.#servers?.states() ?? [];
    return { wan, lan, externalAddress, servers, vpn: this.#vpn.summary(), warnings: this.#warnings() };
  }

  #warnings(): string[] {
    const vpn = this.#vpn.serverInfo()?.message ?? null;
    return [...this.#around.warnings(), ...(vpn === null ? [] : [vpn])];
  }

  /** What local commands are offered. */
  control(): GatewayControl {
    return gatewayControl(this.#view);
  }

  running(): RunningGateway {
    return {
      ...this.control(),
      ready: {
        ...this.#statusFacts(),
        console: this.#console === null ? null : { url: this.#console.url, setupLink: this.#console.setupLink },
      },
      metrics: this.#metrics,
      // It takes a moment to load, and most gateways are alone.
      beside: async () => (await import("./console.ts")).backendsBeside(this.#view, this.#abort.signal),
      closed: this.#ended.promise,
      stop: (options = {}) => this.stop({ clean: "clean" in options && options.clean === true }),
    };
  }

  stop({ clean }: { readonly clean: boolean }): Promise<void> {
    if (this.#stopping === null) {
      this.#stopping = this.#stopInOrder(clean);
      this.#stopping.then(this.#ended.resolve, this.#ended.reject);
      this.#stopping.catch(this.#left.reject);
    }
    return this.#stopping;
  }

  async #stopInOrder(clean: boolean): Promise<void> {
    await this.#mappings.idle();
    // Without `clean` the kernel goes on forwarding; for whoever listens here it is over all the same.
    this.#news.closed(this.#book.list(), "shutdown");
    await this.#news.stop();
    this.#abort.abort();
    await this.#parts.kernel.close({ clean });
    this.#left.resolve();
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    await this.#mappings.idle();
    await Promise.all([
      this.#metricsListener?.close(),
      this.#parts.local.close({ answerWithinMs: ANSWER_MS }),
      this.#console?.close(),
    ]);
    await this.#parts.store.close();
    await this.#parts.endHelper();
  }
}
