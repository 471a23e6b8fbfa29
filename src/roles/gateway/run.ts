import { MappingBook } from "../../core/mapping/book.ts";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import { systemSockets } from "../../dataplanes/io/system-sockets.ts";
import type { NatSettings } from "../../dataplanes/nat/state.ts";
import { listeningPorts } from "../../os/listening.ts";
import { areaLogger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import type { LocalServer } from "../../servers/local/server.ts";
import type { Store } from "../../store/store.ts";
import { type Cidr, classifyAddress } from "../../wire/address.ts";
import {
  ControlError,
  type EventsRequest,
  type GatewayControl,
  type MappingDraft,
  type ReloadReport,
  type RunningGateway,
} from "../control.ts";
import { V } from "../views.ts";
import { fixedSpec, gatewayControl } from "./control.ts";
import { gatewayDesk } from "./desk.ts";
import { GatewayFacts } from "./facts.ts";
import type { FirewallNotice, GatewayKernel } from "./helper/kernel.ts";
import { GatewayMappings } from "./mappings.ts";
import { type Network, readNetwork, sameNetwork } from "./network.ts";
import { GatewayNews } from "./news.ts";
import { GatewayPolicy } from "./policy.ts";
import { GatewayServers } from "./servers.ts";
import type { GatewaySettings } from "./settings.ts";
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
  nowMs(): number;
  wallMs(): number;
}

/** The account of this machine's own operator: LAN hosts have none of their own. */
const OWNER = "owner";
const TICK_MS = 250;
/** The request that stops the gateway is answered before its socket goes. */
const ANSWER_MS = 1_000;
const NETWORK_MS = 2_000;
/** Other firewalls change seldom, and looking costs a process or two. */
const FIREWALLS_MS = 60_000;
/** Settings that a reload cannot change: another set of interfaces is another gateway. */
const FIXED_SETTINGS = ["user"] as const;

/** A gateway that runs: it wires the book, the kernel, the store and the servers together. */
export class Gateway {
  readonly #log = areaLogger("gateway");
  readonly #system = systemSockets();
  readonly #parts: GatewayParts;
  readonly #abort = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  /** The kernel is as it is to stay. */
  readonly #left = Promise.withResolvers<void>();
  readonly #startedMs: number;
  readonly #book: MappingBook;
  readonly #mappings: GatewayMappings;
  readonly #triggers: GatewayTriggers;
  readonly #vpn: GatewayVpn;
  readonly #policy: GatewayPolicy;
  readonly #news: GatewayNews;
  readonly #facts: GatewayFacts;
  #servers: GatewayServers | null = null;
  #settings: GatewaySettings;
  #network: Network;
  #networkReadMs: number;
  #firewallsReadMs = 0;
  #firewalls: readonly FirewallNotice[] = [];
  #upSinceMs: number;
  #epoch: ServerEpoch;
  #expiring = false;
  #stopping: Promise<void> | null = null;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#startedMs = parts.wallMs();
    this.#network = this.#readNetwork();
    this.#networkReadMs = parts.nowMs();
    this.#upSinceMs = parts.nowMs();
    this.#epoch = ServerEpoch.lost(parts.nowMs());
    // Whoever looks at `closed` hears of a failure; it is nobody's duty to look.
    this.#ended.promise.catch(() => undefined);
    this.#left.promise.catch(() => undefined);
    const { store, kernel, nowMs, wallMs } = parts;
    const warn = (message: string) => this.#log.warn("{message}", { message });
    this.#vpn = new GatewayVpn({
      store,
      device: kernel.vpn,
      wallMs,
      endpointHost: () => this.#externalAddress(),
      otherNetworks: () => this.#otherNetworks(),
      warn,
    });
    this.#book = new MappingBook({
      ownerOf: (address) => {
        const peer = this.#vpn.peerAt(address);
        return { account: OWNER, device: peer === null ? address : deviceOf(peer.id) };
      },
      holderName: (device) => this.#vpn.peerOf(device)?.name ?? device,
      isSticky: (device) => this.#vpn.peerOf(device) !== null,
    });
    this.#mappings = new GatewayMappings({
      book: this.#book,
      plane: kernel.plane,
      store,
      limits: () => this.#settings.limits,
      isOpen: (spec) => this.#vpn.closedBy(spec) === null,
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
      externalAddress: () => this.#externalAddress(),
      endsMs: (held) => {
        const leftMs = this.#book.remainingMs(held, nowMs());
        return leftMs === null ? null : Math.ceil(wallMs() + leftMs);
      },
    });
    this.#facts = new GatewayFacts({ store, wallMs });
    this.#triggers = new GatewayTriggers({ store, wallMs, warn, apply: () => this.#applySettings() });
    this.#policy = new GatewayPolicy({
      settings: () => this.#settings,
      network: () => this.#network,
      ownPorts: () => this.#insideOnly(),
      listening: () => listeningPorts(),
      peerRights: (address) => this.#vpn.rights(address),
      nowMs,
    });
  }

  async start(): Promise<void> {
    const { nowMs, wallMs, kernel } = this.#parts;
    await this.#vpn.start(this.#settings.vpn, this.#settings.vpnWanted);
    this.#network = this.#readNetwork();
    // What may be wrong with a key file or a port is told while the kernel is as it was.
    await this.#news.follow(this.#settings, this.#vpn.interfaceName ?? "");
    await this.#triggers.restore(this.#settings.triggers);
    this.#epoch = await this.#mappings.restore(this.#fixed(this.#settings.mappings, this.#warn));
    this.#servers = new GatewayServers({
      desk: gatewayDesk({
        book: this.#book,
        mappings: this.#mappings,
        epoch: this.#epoch,
        policyFor: (requester) => this.#policy.of(requester),
        externalAddress: () => this.#externalAddress(),
        counters: () => this.#servers?.counters(this.#settings.wan) ?? Promise.reject(new Error("not started")),
        nowMs,
        upSinceMs: () => this.#upSinceMs,
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
    this.#servers.apply(this.#settings.servers, this.#network.inside);
    await this.#applySettings();
    const notForwarding = await kernel.forward(this.#settings.wan);
    if (notForwarding !== null) throw new ControlError("failed", notForwarding);
    await this.#lookForFirewalls();
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
    const nowMs = this.#parts.nowMs();
    try {
      if (!this.#expiring && (this.#book.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) {
        this.#expiring = true;
        await this.#mappings.expire();
        this.#expiring = false;
      }
      if (this.#vpn.expired()) {
        await this.#vpn.apply();
        await this.#applySettings();
      }
      await this.#vpn.look(nowMs);
      if (nowMs - this.#firewallsReadMs >= FIREWALLS_MS) await this.#lookForFirewalls();
      if (nowMs - this.#networkReadMs >= NETWORK_MS) {
        this.#networkReadMs = nowMs;
        await this.#followNetwork();
      }
    } catch (error) {
      this.#expiring = false;
      if (this.#stopping === null) this.#log.error("{error}", { error: messageOf(error) });
    }
  }

  async #followNetwork(): Promise<void> {
    const before = this.#network;
    const next = this.#readNetwork();
    if (sameNetwork(before, next)) {
      await this.#openTheRest();
      return;
    }
    this.#network = next;
    this.#log.info("the network changed", { external: next.external, missing: next.missing });
    this.#servers?.apply(this.#settings.servers, next.inside);
    if (before.external[0] !== next.external[0]) {
      // RFC 6886 §3.6, RFC 6887 §8.5: clients ask again, and hear their new external address.
      this.#upSinceMs = this.#parts.nowMs();
      this.#epoch.reset(this.#upSinceMs);
      await this.#mappings.saveEpoch(this.#epoch);
      this.#servers?.announce();
    }
    await this.#applySettings();
  }

  /**
   * What could not be opened may be free by now: an IPv6 address is tentative for a second or two and cannot be bound to
   * meanwhile (RFC 4862 §5.4), another program ends.
   */
  async #openTheRest(): Promise<void> {
    if (this.#servers?.incomplete !== true) return;
    const before = this.#insideOnly();
    this.#servers.apply(this.#settings.servers, this.#network.inside);
    if (!Bun.deepEquals(before, this.#insideOnly())) await this.#applySettings();
  }

  #readNetwork(): Network {
    const { wan, lan } = this.#settings;
    const vpn = this.#vpn?.interfaceName ?? null;
    return readNetwork(wan, vpn === null ? lan : [...lan, vpn], this.#system.interfaceIndex);
  }

  #otherNetworks(): Cidr[] {
    const { wan, lan } = this.#settings;
    return readNetwork([], [...wan, ...lan], this.#system.interfaceIndex).inside.flatMap(({ networks }) => networks);
  }

  async #lookForFirewalls(): Promise<void> {
    this.#firewallsReadMs = this.#parts.nowMs();
    const vpn = this.#vpn.natSettings();
    const found = await this.#parts.kernel.firewalls({
      wan: this.#settings.wan,
      inside: this.#network.inside.map(({ name, networks }) => ({ name, networks })),
      servers: this.#insideOnly(),
      vpnPort: vpn?.listenPort ?? null,
      ipv6: this.#network.inside.some(({ addresses }) => addresses.some((address) => address.includes(":"))),
      pinholeMark: null,
    });
    for (const { why } of found) {
      if (this.#firewalls.some((known) => known.why === why)) continue;
      this.#log.warn("{why} `hatchway status` says what mends it.", { why });
    }
    this.#firewalls = found;
  }

  #externalAddress(): string | null {
    return this.#settings.publicAddress ?? this.#network.external[0] ?? null;
  }

  #insideOnly() {
    return this.#servers?.ports() ?? { tcp: [], udp: [] };
  }

  /** A peer came, went or may something else: its interface, its servers and the kernel's rules follow. */
  async #followPeers(): Promise<void> {
    this.#network = this.#readNetwork();
    this.#servers?.apply(this.#settings.servers, this.#network.inside);
    await this.#applySettings();
  }

  async #applySettings(): Promise<void> {
    await this.#mappings.replace(this.#natSettings());
    await this.#facts.keepHttpPort(this.#servers?.httpPort ?? null);
  }

  #natSettings(): NatSettings {
    const { wan, lan, publicAddress, masquerade, snatPorts, dropUnforwarded, sources, limits } = this.#settings;
    const others = publicAddress === null ? [] : [publicAddress];
    return {
      wan,
      lan,
      vpn: this.#vpn.natSettings(),
      externalAddresses: [...new Set([...this.#network.external, ...others])],
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

  /** The specs of the operator's drafts; what is wrong with one is told, and the others stand. */
  #fixed(drafts: readonly MappingDraft[], tell: (sentence: string) => void): MappingSpec[] {
    return drafts.flatMap((draft) => {
      const made = fixedSpec(this.#view(), draft, "config");
      if (typeof made !== "string") return [made];
      tell(`mapping "${draft.name}": ${made}`);
      return [];
    });
  }

  #view() {
    return {
      book: this.#book,
      mappings: this.#mappings,
      triggers: this.#triggers,
      plane: this.#parts.kernel.plane,
      vpn: this.#vpn,
      version: VERSION,
      startedMs: this.#startedMs,
      nowMs: this.#parts.nowMs,
      wallMs: this.#parts.wallMs,
      facts: () => ({
        wan: this.#settings.wan,
        lan: this.#settings.lan,
        externalAddress: this.#externalAddress(),
        servers: this.#servers?.states() ?? [],
        warnings: this.#warnings(),
      }),
      externalAddress: () => this.#externalAddress(),
      followPeers: () => this.#followPeers(),
      isInside: (address: string) => this.#network.clients.contains(address) && !this.#network.own.has(address),
      reserved: () => this.#policy.reserved(),
      reload: () => this.#reload(),
      events: (request: EventsRequest, signal: AbortSignal) => this.#news.events(request, signal),
      stop: async (options: { readonly clean: boolean }) => {
        void this.stop(options);
        await this.#left.promise;
      },
    };
  }

  #warnings(): string[] {
    const missing = this.#network.missing.map(
      (name) => `Interface ${name} is not there, or has no address: see \`ip address\`.`,
    );
    const vpn = this.#vpn.serverInfo()?.message ?? null;
    return [
      ...missing,
      ...externalWarning(this.#network.external[0] ?? null, this.#settings.publicAddress),
      ...(vpn === null ? [] : [vpn]),
      ...this.#firewalls.map(({ why, remedy }) => [`${why} What mends it:`, ...remedy].join("\n")),
    ];
  }

  async #reload(): Promise<ReloadReport> {
    const next = await this.#parts.readSettings();
    const before = this.#settings;
    const needRestart = FIXED_SETTINGS.filter((key) => next[key] !== before[key]).map((key) => `gateway.${key}`);
    if (next.wan.length === 0) {
      throw new ControlError("usage", "[gateway] names no wan interface: nothing was changed.");
    }
    // First what may fail, while all is as it was.
    await this.#news.follow(next, this.#vpn.interfaceName ?? "");
    this.#settings = { ...next, user: before.user };
    this.#network = this.#readNetwork();
    const refused: string[] = [];
    const report = await this.#mappings.setFixed(
      this.#fixed(next.mappings, (sentence) => refused.push(sentence)),
      "config",
    );
    this.#triggers.configure(next.triggers);
    this.#servers?.apply(next.servers, this.#network.inside);
    await this.#applySettings();
    // Whoever has just done what a warning said wants to see it gone.
    await this.#lookForFirewalls();
    const settingsChanged = (["wan", "lan", "publicAddress", "masquerade", "snatPorts", "dropUnforwarded"] as const)
      .filter((key) => !Bun.deepEquals(next[key], before[key]))
      .map((key) => `gateway.${key}`);
    return {
      ...V,
      added: report.added,
      changed: [...report.changed, ...settingsChanged],
      removed: report.removed,
      unchanged: this.#book.size - report.added.length - report.changed.length,
      refused: [...refused, ...report.refused],
      needRestart,
    };
  }

  /** What local commands are offered. */
  control(): GatewayControl {
    return gatewayControl(this.#view());
  }

  running(): RunningGateway {
    return {
      ...this.control(),
      ready: {
        wan: this.#settings.wan,
        lan: this.#settings.lan,
        externalAddress: this.#externalAddress(),
        servers: this.#servers?.states() ?? [],
        warnings: this.#warnings(),
      },
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
    await this.#parts.local.close({ answerWithinMs: ANSWER_MS });
    await this.#parts.store.close();
    await this.#parts.endHelper();
  }
}

function externalWarning(address: string | null, publicAddress: string | null): string[] {
  if (address === null) return ["The WAN interface has no IPv4 address: nobody outside can reach a forward."];
  if (publicAddress !== null) return [];
  if (classifyAddress(address) !== "private") return [];
  return [
    `The WAN address ${address} is not a public one: forward the ports on the router above as well, use a relay when it is your provider's (CGNAT), or say public in [gateway].`,
  ];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
