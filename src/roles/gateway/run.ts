import { MappingBook } from "../../core/mapping/book.ts";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { EntryPorts } from "../../core/table.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { NatSettings } from "../../dataplanes/nat/state.ts";
import { messageOf } from "../../os/errors.ts";
import { interfaceNames } from "../../os/interfaces.ts";
import { listeningPorts } from "../../os/listening.ts";
import { areaLogger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import type { HttpListener } from "../../servers/http-listen.ts";
import type { LocalServer } from "../../servers/local/server.ts";
import { FIRST_ACCOUNT_ID } from "../../store/accounts.ts";
import type { Store } from "../../store/store.ts";
import {
  ControlError,
  type EventsRequest,
  type GatewayControl,
  type ReloadReport,
  type RunningGateway,
} from "../control.ts";
import { openMetrics } from "../metrics/open.ts";
import { type MetricSource, ProcessMetrics } from "../metrics/page.ts";
import { V } from "../views.ts";
import { settingsChanges, settingsFor } from "./changes.ts";
import type { GatewayConsoleOptions, OpenGatewayConsole } from "./console.ts";
import { type GatewayView, gatewayControl } from "./control.ts";
import { gatewayDesk } from "./desk.ts";
import { GatewayFacts } from "./facts.ts";
import { fixedSpecs } from "./fixed.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import { refuseIncomplete, refuseUnfit } from "./interfaces.ts";
import { type FixedReport, GatewayMappings } from "./mappings.ts";
import { gatewayMetrics } from "./metrics.ts";
import { GatewayNews } from "./news.ts";
import { GatewayPeers } from "./peers.ts";
import { GatewayPolicy } from "./policy.ts";
import { GatewayServers } from "./servers.ts";
import type { GatewaySettings } from "./settings.ts";
import { Surroundings } from "./surroundings.ts";
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

const TICK_MS = 250;
/** A process for each trigger at each look. */
const TRIGGERS_MS = 2_000;
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
  readonly #view: GatewayView;
  readonly #metrics: MetricSource;
  #metricsListener: HttpListener | null = null;
  #servers: GatewayServers | null = null;
  #console: OpenGatewayConsole | null = null;
  #settings: GatewaySettings;
  #epoch: ServerEpoch;
  #ticking = false;
  #triggersReadMs = 0;
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
      ownPorts: () => this.#insideOnly(),
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
    this.#triggers = new GatewayTriggers({ store, wallMs, warn, apply: () => this.#applySettings() });
    this.#policy = new GatewayPolicy({
      settings: () => this.#settings,
      network: () => this.#around.network,
      ownPorts: () => this.#insideOnly(),
      listening: () => listeningPorts(),
      peerRights: (address) => this.#vpn.rights(address),
      nowMs,
    });
    this.#view = this.#makeView();
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
    this.#servers.apply(this.#settings.servers, this.#around.network.inside);
    this.#console = await this.#openConsole(metrics);
    await this.#applySettings();
    this.#console?.startRecording();
    const notForwarding = await kernel.forward(this.#settings.wan);
    if (notForwarding !== null) throw new ControlError("failed", notForwarding);
    await this.#around.lookForFirewalls("when it is time");
    for (const held of this.#book.list()) this.#news.tell({ event: "opened", held, reason: null });
    this.#log.info("the gateway is ready", { wan: this.#settings.wan, lan: this.#settings.lan });
    void this.#parts.helperEnded.then(() => this.#helperGone());
    const timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#abort.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  #warn = (message: string): void => this.#log.warn("{message}", { message });

  #helperGone(): void {
    if (this.#stopping !== null) return;
    const message = "The gateway's privileged helper ended: see the lines above, and start the gateway again.";
    this.#stopping = this.#close();
    void this.#stopping.then(() => this.#ended.reject(new ControlError("failed", message)), this.#ended.reject);
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      if ((this.#book.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= this.#parts.nowMs())
        await this.#mappings.expire();
      if (this.#vpn.expired()) {
        await this.#vpn.apply();
        await this.#applySettings();
      }
      if (this.#around.isTime()) await this.#followNetwork();
      await this.#lookAtTriggers();
      await this.#vpn.look(this.#parts.nowMs());
      await this.#around.lookForFirewalls("when it is time");
    } catch (error) {
      if (this.#stopping === null) this.#log.error("{error}", { error: messageOf(error) });
    } finally {
      this.#ticking = false;
    }
  }

  /** A trigger that has closed lets nothing through any more; what is left of its connections goes when it is looked at. */
  async #lookAtTriggers(): Promise<void> {
    const nowMs = this.#parts.nowMs();
    if (this.#triggers.rules().length === 0 || nowMs - this.#triggersReadMs < TRIGGERS_MS) return;
    this.#triggersReadMs = nowMs;
    await this.#parts.kernel.plane.openTriggers();
  }

  /** The network may be another one: servers and kernel follow. */
  async #followNetwork(): Promise<void> {
    const moved = this.#around.lookAgain();
    if (moved === null) return await this.#openTheRest();
    await this.#keepForwarding();
    this.#servers?.apply(this.#settings.servers, this.#around.network.inside);
    if (moved.external) {
      // RFC 6886 §3.6, RFC 6887 §8.5: clients ask again, and hear their new external address.
      this.#epoch.reset(this.#around.upSinceMs);
      await this.#mappings.saveEpoch(this.#epoch);
      this.#servers?.announce();
    }
    await this.#applySettings();
  }

  /** An interface that was made anew does not know yet that it is a gateway's. */
  async #keepForwarding(): Promise<void> {
    const failure = await this.#parts.kernel.forward(this.#settings.wan);
    if (failure !== null) this.#warn(failure);
  }

  /**
   * What could not be opened may be free by now: an IPv6 address is tentative for a second or two and cannot be bound to
   * meanwhile (RFC 4862 §5.4), another program ends.
   */
  async #openTheRest(): Promise<void> {
    if (this.#servers?.incomplete !== true) return;
    const before = this.#insideOnly();
    this.#servers.apply(this.#settings.servers, this.#around.network.inside);
    if (!Bun.deepEquals(before, this.#insideOnly())) await this.#applySettings();
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

  #insideOnly(): NatSettings["insideOnly"] {
    const { tcp, udp } = this.#servers?.ports() ?? { tcp: [], udp: [] };
    return { tcp: [...tcp, ...(this.#console?.insidePorts() ?? [])], udp };
  }

  /** A peer came, went or may something else: its interface, its servers and the kernel's rules follow. */
  async #followPeers(): Promise<void> {
    this.#around.lookAgain();
    this.#servers?.apply(this.#settings.servers, this.#around.network.inside);
    await this.#applySettings();
  }

  async #applySettings(): Promise<void> {
    await this.#mappings.replace(this.#natSettings());
    await this.#facts.keepHttpPort(this.#servers?.httpPort ?? null);
  }

  #natSettings(): NatSettings {
    const { wan, lan, masquerade, snatPorts, dropUnforwarded, sources, limits } = this.#settings;
    return {
      wan,
      lan,
      vpn: this.#vpn.natSettings(),
      externalAddresses: this.#around.externalAddresses(),
      insideOnly: this.#insideOnly(),
      masquerade,
      snatPorts,
      dropUnforwarded,
      vpnClientsMayMeet: this.#settings.vpnClientsMayMeet,
      sources,
      limits,
      triggers: this.#triggers.rules(),
    };
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
      consoleUrl: () => this.#console?.url ?? "",
      facts: () => this.#statusFacts(),
      externalAddress: () => this.#around.externalAddress(),
      followPeers: () => this.#followPeers(),
      resolver: this.#resolver,
      snatPorts: () => this.#settings.snatPorts,
      isInside: (address: string) => this.#around.isInside(address),
      reserved: () => this.#policy.reserved(),
      reload: () => this.#reload(),
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

  /** A reload that fails changes nothing. */
  async #reload(): Promise<ReloadReport> {
    const read = await this.#parts.readSettings();
    const before = this.#settings;
    const { changed, needRestart, triggers } = settingsChanges(before, read);
    const next = settingsFor(before, read);
    refuseIncomplete(next, this.#vpn.interfaceName !== null);
    // One that is gone for a while (PPPoE) was there once.
    refuseUnfit(next, [...interfaceNames(), ...before.wan, ...before.lan], this.#vpn.interfaceName);
    // What may fail goes first.
    await this.#news.follow(next, this.#vpn.interfaceName ?? "");
    let report: FixedReport;
    try {
      report = await this.#take(next);
    } catch (error) {
      await this.#takeBack(before);
      throw error;
    }
    // Whoever has just done what a warning said wants to see it gone.
    await this.#around.lookForFirewalls("now");
    const named = (names: readonly string[]) => names.map((name) => `trigger "${name}"`);
    return {
      ...V,
      added: [...report.added, ...named(triggers.added)],
      changed: [...report.changed, ...named(triggers.changed), ...changed],
      removed: [...report.removed, ...named(triggers.removed)],
      unchanged: this.#book.size - report.added.length - report.changed.length,
      refused: report.refused,
      needRestart,
    };
  }

  /** Rejects with ControlError when the kernel does not take it. */
  async #take(settings: GatewaySettings): Promise<FixedReport> {
    this.#settings = settings;
    this.#around.lookAgain();
    await this.#keepForwarding();
    const refused: string[] = [];
    const fixed = await fixedSpecs(this.#view, settings.mappings, (sentence) => refused.push(sentence));
    const report = await this.#mappings.setFixed(fixed, "config");
    this.#triggers.configure(settings.triggers);
    this.#servers?.apply(settings.servers, this.#around.network.inside);
    await this.#applySettings();
    return { ...report, refused: [...refused, ...report.refused] };
  }

  /** The first failure is the one to tell; what cannot be taken back now goes to the kernel with the next change. */
  async #takeBack(before: GatewaySettings): Promise<void> {
    const failed = (error: unknown) => this.#log.error("{error}", { error: messageOf(error) });
    await this.#news.follow(before, this.#vpn.interfaceName ?? "").catch(failed);
    await this.#take(before).catch(failed);
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
