import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { NatSettings } from "../../dataplanes/nat/state.ts";
import type { GatewayFacts } from "./facts.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import type { GatewayMappings } from "./mappings.ts";
import type { GatewayServers } from "./servers.ts";
import type { GatewaySettings } from "./settings.ts";
import type { Surroundings } from "./surroundings.ts";
import type { GatewayTriggers } from "./triggers.ts";
import type { GatewayVpn } from "./vpn.ts";

export interface GatewayAlignmentOptions {
  readonly kernel: Pick<GatewayKernel, "forward">;
  readonly mappings: GatewayMappings;
  readonly triggers: GatewayTriggers;
  readonly vpn: GatewayVpn;
  readonly around: Surroundings;
  readonly facts: GatewayFacts;
  /** In force now. */
  settings(): GatewaySettings;
  /** Null until they are started. */
  servers(): GatewayServers | null;
  epoch(): ServerEpoch;
  /** Where the console answers inside. */
  consolePorts(): readonly number[];
  warn(message: string): void;
}

/** Keeps the servers and the kernel in line with the settings, the network and the VPN's peers as they are now. */
export class GatewayAlignment {
  readonly #options: GatewayAlignmentOptions;

  constructor(options: GatewayAlignmentOptions) {
    this.#options = options;
  }

  /** The gateway's own ports: nobody outside reaches them. */
  insideOnly(): NatSettings["insideOnly"] {
    const { tcp, udp } = this.#options.servers()?.ports() ?? { tcp: [], udp: [] };
    return { tcp: [...tcp, ...this.#options.consolePorts()], udp };
  }

  /** The kernel's rules. Rejects with ControlError when it does not take them. */
  async applyRules(): Promise<void> {
    const { mappings, facts, servers } = this.#options;
    await mappings.replace(this.#natSettings());
    await facts.keepHttpPort(servers()?.httpPort ?? null);
  }

  applyServers(): void {
    const { servers, settings, around } = this.#options;
    servers()?.apply(settings().servers, around.network.inside);
  }

  /** An interface that was made anew does not know yet that it is a gateway's. */
  async keepForwarding(): Promise<void> {
    const { kernel, settings, warn } = this.#options;
    const failure = await kernel.forward(settings().wan);
    if (failure !== null) warn(failure);
  }

  /** The network may be another one: servers and kernel follow. */
  async followNetwork(): Promise<void> {
    const { around, epoch, mappings, servers } = this.#options;
    const moved = around.lookAgain();
    if (moved === null) return await this.#openTheRest();
    await this.keepForwarding();
    this.applyServers();
    if (moved.external) {
      // RFC 6886 §3.6, RFC 6887 §8.5: clients ask again, and hear their new external address.
      epoch().reset(around.upSinceMs);
      await mappings.saveEpoch(epoch());
      servers()?.announce();
    }
    await this.applyRules();
  }

  /** A peer came, went or may something else: its interface, its servers and the kernel's rules follow. */
  async followPeers(): Promise<void> {
    this.#options.around.lookAgain();
    this.applyServers();
    await this.applyRules();
  }

  /**
   * What could not be opened may be free by now: an IPv6 address is tentative for a second or two and cannot be bound to
   * meanwhile (RFC 4862 §5.4), another program ends.
   */
  async #openTheRest(): Promise<void> {
    if (this.#options.servers()?.incomplete !== true) return;
    const before = this.insideOnly();
    this.applyServers();
    if (!Bun.deepEquals(before, this.insideOnly())) await this.applyRules();
  }

  #natSettings(): NatSettings {
    const { settings, vpn, around, triggers } = this.#options;
    const { wan, lan, masquerade, snatPorts, dropUnforwarded, vpnClientsMayMeet, sources, limits } = settings();
    return {
      wan,
      lan,
      vpn: vpn.natSettings(),
      externalAddresses: around.externalAddresses(),
      insideOnly: this.insideOnly(),
      masquerade,
      snatPorts,
      dropUnforwarded,
      vpnClientsMayMeet,
      sources,
      limits,
      triggers: triggers.rules(),
    };
  }
}
