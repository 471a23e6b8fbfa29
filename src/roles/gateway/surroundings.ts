import { PINHOLE_MARK } from "../../dataplanes/nat/names.ts";
import type { Logger } from "../../os/log.ts";
import { type Cidr, isIpv6 } from "../../wire/address.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { externalWarning } from "./external-warning.ts";
import type { FirewallNotice, GatewayKernel } from "./helper/kernel.ts";
import { type Network, readNetwork, sameNetwork } from "./network.ts";
import type { GatewaySettings } from "./settings.ts";

export interface SurroundingsOptions {
  settings(): Pick<GatewaySettings, "wan" | "lan" | "publicAddress">;
  /** Null = there is no VPN. */
  vpn(): { readonly interface: string; readonly listenPort: number } | null;
  readonly kernel: Pick<GatewayKernel, "firewalls">;
  /** The ports of the gateway's own servers. */
  ownPorts(): Readonly<Record<Protocol, readonly number[]>>;
  nowMs(): number;
  readonly log: Logger;
}

/** What changed around the gateway. */
export interface Moved {
  /** The address that visitors use is another one. */
  readonly external: boolean;
}

/** A look takes 0.1 ms with five interfaces, 3 ms with 200. */
const NETWORK_MS = 2_000;
/** While an address is to come (a link without carrier yet, DHCP) clients are refused: each time that the gateway wakes. */
const WAITING_MS = 200;
/** Other firewalls change seldom, and looking costs a process or two. */
const FIREWALLS_MS = 60_000;

/** The machine that the gateway runs on: its interfaces and addresses, and other firewalls. */
export class Surroundings {
  readonly #options: SurroundingsOptions;
  #network: Network | null = null;
  #networkReadMs = Number.NEGATIVE_INFINITY;
  #upSinceMs = 0;
  #firewallsReadMs = Number.NEGATIVE_INFINITY;
  #firewalls: readonly FirewallNotice[] = [];

  constructor(options: SurroundingsOptions) {
    this.#options = options;
  }

  /** As it was read last. */
  get network(): Network {
    this.#network ??= this.#read();
    return this.#network;
  }

  /** Monotonic: since when the external address is what it is. */
  get upSinceMs(): number {
    return this.#upSinceMs;
  }

  /** What visitors type; null while there is no such address. */
  externalAddress(): string | null {
    return this.#options.settings().publicAddress ?? this.network.external[0] ?? null;
  }

  /** What clients inside type to reach a forward; the WAN's own first. */
  externalAddresses(): string[] {
    const { publicAddress } = this.#options.settings();
    return [...new Set([...this.network.external, ...(publicAddress === null ? [] : [publicAddress])])];
  }

  /** Networks of the interfaces that the VPN's may not overlap. */
  otherNetworks(): Cidr[] {
    const { wan, lan } = this.#options.settings();
    return readNetwork([], [...wan, ...lan]).inside.flatMap(({ networks }) => networks);
  }

  isInside(address: string): boolean {
    return this.network.clients.contains(address) && !this.network.own.has(address);
  }

  /** Looks again, now. Null = it is as it was. */
  lookAgain(): Moved | null {
    const before = this.network;
    this.#networkReadMs = this.#options.nowMs();
    const next = this.#read();
    if (sameNetwork(before, next)) return null;
    this.#network = next;
    this.#options.log.info("the network changed", { external: next.external, missing: next.missing });
    const external = before.external[0] !== next.external[0];
    if (external) this.#upSinceMs = this.#options.nowMs();
    return { external };
  }

  /** Whether to look again now. */
  isTime(): boolean {
    const isWaiting = this.network.missing.length > 0 || this.externalAddress() === null;
    return this.#options.nowMs() - this.#networkReadMs >= (isWaiting ? WAITING_MS : NETWORK_MS);
  }

  #read(): Network {
    const { wan, lan } = this.#options.settings();
    const vpn = this.#options.vpn();
    return readNetwork(wan, vpn === null ? lan : [...lan, vpn.interface]);
  }

  /** Other firewalls: what is new of them is told. */
  async lookForFirewalls(when: "now" | "when it is time"): Promise<void> {
    const nowMs = this.#options.nowMs();
    if (when !== "now" && nowMs - this.#firewallsReadMs < FIREWALLS_MS) return;
    this.#firewallsReadMs = nowMs;
    const { inside } = this.network;
    const found = await this.#options.kernel.firewalls({
      wan: this.#options.settings().wan,
      inside: inside.map(({ name, networks }) => ({ name, networks })),
      servers: this.#options.ownPorts(),
      vpnPort: this.#options.vpn()?.listenPort ?? null,
      ipv6: inside.some(({ addresses }) => addresses.some((address) => isIpv6(address))),
      pinholeMark: PINHOLE_MARK,
    });
    for (const { why } of found) {
      if (this.#firewalls.some((known) => known.why === why)) continue;
      this.#options.log.warn("{why} `hatchway status` says what mends it.", { why });
    }
    this.#firewalls = found;
  }

  /** What keeps forwards from working, one sentence each. */
  warnings(): string[] {
    const missing = this.network.missing.map(
      (name) => `Interface ${name} is not there, or has no address: see \`ip address\`.`,
    );
    const named = this.#options.settings().publicAddress !== null;
    const external = named ? null : externalWarning(this.network.external[0] ?? null);
    return [
      ...missing,
      ...(external === null ? [] : [external]),
      ...this.#firewalls.map(({ why, remedy }) => [`${why} What mends it:`, ...remedy].join("\n")),
    ];
  }
}
