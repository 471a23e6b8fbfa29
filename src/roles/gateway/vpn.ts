import { randomBytes } from "node:crypto";
import { decide } from "../../core/mapping/permission.ts";
import type { MappingPolicy } from "../../core/mapping/request.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import {
  indexPeers,
  isActive,
  nextExpiryMs,
  type PeerIndex,
  sameName,
  type VpnPeerChange,
  type VpnPeerKeys,
} from "../../core/vpn/peers.ts";
import { mappingRights } from "../../core/vpn/rights.ts";
import { checkVpnSettings, defaultVpnSettings, ULA_RANDOM_BYTES, type VpnSettings } from "../../core/vpn/settings.ts";
import type { NatEntry, NatSettings } from "../../dataplanes/nat/state.ts";
import { desiredVpn } from "../../dataplanes/nat/wireguard/desired.ts";
import type { VpnApplied, VpnInterface, VpnPeerStatus } from "../../dataplanes/nat/wireguard/state.ts";
import type { Store } from "../../store/store.ts";
import type { StoredVpnPeer, VpnPeerError } from "../../store/vpn-peers.ts";
import { type Cidr, classifyAddress, isIpv6 } from "../../wire/address.ts";
import type { Result } from "../../wire/result.ts";
import {
  ControlError,
  type GatewayStatus,
  type VpnInfo,
  type VpnPeerDraft,
  type VpnPeerInfo,
  type VpnPeerPatch,
  type VpnServerInfo,
} from "../control.ts";
import { GatewayRefused } from "./refused.ts";
import type { VpnDraft } from "./settings.ts";
import { formatMode, parseMode } from "./vpn-mode.ts";

export interface GatewayVpnOptions {
  readonly store: Pick<Store, "vpn">;
  readonly device: VpnInterface;
  wallMs(): number;
  /** What clients dial when nobody says it: the external address. */
  endpointHost(): string | null;
  /** Networks that this machine reaches already, the VPN's own not among them. */
  otherNetworks(): readonly Cidr[];
  warn(message: string): void;
}

/** How often it is noted where peers are: each note is an fsync. */
const SEEN_MS = 60_000;
const EVERY: PortSpan = { first: 1, last: 65_535 };

/** The VPN server of a gateway: its settings, its peers, and its interface. */
export class GatewayVpn {
  readonly #options: GatewayVpnOptions;
  #interface = "";
  #settings: VpnSettings | null = null;
  #peers: readonly StoredVpnPeer[] = [];
  #index: PeerIndex = indexPeers([]);
  #applied: VpnApplied | null = null;
  #problem: string | null = null;
  #nextExpiryMs: number | null = null;
  #seenMs = 0;

  constructor(options: GatewayVpnOptions) {
    this.#options = options;
  }

  /**
   * Reads what is stored, makes the settings of a first start when `wanted`, and brings the interface up. A VPN that
   * cannot come up is told, and LAN clients are served all the same.
   */
  async start(draft: VpnDraft, wanted: boolean): Promise<void> {
    this.#interface = draft.interface;
    const stored = await this.#options.store.vpn.settings();
    if (stored !== null || wanted) await this.#setUp(draft, stored);
    await this.#reload();
    await this.apply();
  }

  /** `vpn init`: from now on there is a VPN. */
  async init(draft: Omit<VpnDraft, "interface">, actor?: string): Promise<VpnInfo> {
    await this.#setUp({ ...draft, interface: this.#interface }, await this.#options.store.vpn.settings(), actor);
    await this.#reload();
    await this.apply();
    if (this.#problem !== null) throw new ControlError("failed", this.#problem);
    return await this.info(() => 0);
  }

  async #setUp(draft: VpnDraft, stored: VpnSettings | null, actor?: string): Promise<void> {
    const { interface: _, ...said } = draft;
    const endpointHost = said.endpointHost ?? stored?.endpointHost ?? this.#options.endpointHost();
    if (endpointHost === null) {
      const message =
        "Say what the VPN's clients dial, with --endpoint HOST or endpoint in [vpn]: this machine has no address.";
      throw new ControlError("usage", message);
    }
    const settings = {
      ...(stored ?? defaultVpnSettings(endpointHost, randomBytes(ULA_RANDOM_BYTES))),
      ...said,
      endpointHost,
    };
    const checked = checkVpnSettings(settings, this.#options.otherNetworks());
    if (!checked.ok) throw new GatewayRefused("settings", checked.error.message);
    if (Bun.deepEquals(stored, settings)) return;
    mustBe(await this.#options.store.vpn.setSettings(settings, this.#options.wallMs(), actor));
  }

  async #reload(): Promise<void> {
    this.#settings = await this.#options.store.vpn.settings();
    this.#peers = await this.#options.store.vpn.list();
    this.#index = indexPeers(this.#peers);
  }

  /** Brings the interface in line. What keeps it from that is in `info` and in the log. */
  async apply(): Promise<void> {
    const { device, wallMs, warn } = this.#options;
    if (this.#settings === null) return;
    const nowMs = wallMs();
    this.#nextExpiryMs = nextExpiryMs(this.#peers, nowMs);
    const done = await device.apply(desiredVpn(this.#interface, this.#settings, this.#peers, nowMs));
    if (done.ok) this.#applied = done.value;
    const problem = done.ok ? null : done.error.message;
    if (problem !== null && problem !== this.#problem) warn(problem);
    this.#problem = problem;
    for (const warning of done.ok ? done.value.warnings : []) warn(warning);
  }

  /** Whether a peer's time is up: then `apply`, and the kernel's rules again. */
  expired(): boolean {
    return this.#nextExpiryMs !== null && this.#nextExpiryMs <= this.#options.wallMs();
  }

  /** Notes where peers are, now and then. */
  async look(nowMs: number): Promise<void> {
    if (this.#settings === null || nowMs - this.#seenMs < SEEN_MS) return;
    this.#seenMs = nowMs;
    const seen = (await this.status()).flatMap(({ publicKey, endpoint, latestHandshakeMs }) =>
      endpoint === null || latestHandshakeMs === null ? [] : [{ publicKey, endpoint, handshakeMs: latestHandshakeMs }],
    );
    if (seen.length > 0) await this.#options.store.vpn.seen(seen);
  }

  /** Null = there is no VPN. */
  natSettings(): NatSettings["vpn"] {
    return this.#settings === null ? null : { interface: this.#interface, listenPort: this.#settings.listenPort };
  }

  /** Peers, those that may not connect now among them. */
  get size(): number {
    return this.#peers.length;
  }

  get interfaceName(): string | null {
    return this.#settings === null ? null : this.#interface;
  }

  peerAt(address: string): StoredVpnPeer | null {
    const peer = this.#index.at(address);
    return peer === null ? null : (this.#peers.find(({ id }) => id === peer.id) ?? null);
  }

  peerOf(device: string): StoredVpnPeer | null {
    return this.#peers.find(({ id }) => deviceOf(id) === device) ?? null;
  }

  /** In the order of their creation. */
  all(): readonly StoredVpnPeer[] {
    return this.#peers;
  }

  byName(name: string): StoredVpnPeer | null {
    return this.#peers.find((peer) => sameName(peer.name, name)) ?? null;
  }

  /** What the peer may ask for, in place of what LAN hosts may. Null = not a peer's address. */
  rights(address: string): Pick<MappingPolicy, "permissions" | "maxPerClient"> | null {
    const peer = this.peerAt(address);
    return peer === null ? null : mappingRights(peer, this.#options.wallMs());
  }

  /** Why nothing reaches these ports of the peer, one sentence; null = it may, or is no peer's. */
  closedBy({ to, ports }: Pick<MappingSpec, "to" | "ports">): string | null {
    const peer = this.peerAt(to);
    if (peer === null) return null;
    const nowMs = this.#options.wallMs();
    if (!isActive(peer, nowMs)) return `The peer ${peer.name} is ${peer.disabled ? "disabled" : "expired"}.`;
    const { permissions } = mappingRights(peer, nowMs);
    for (const { protocol, first, last, internalFirst } of ports) {
      for (let port = first; port <= last; port++) {
        const subject = { protocol, client: to, internalPort: internalFirst + port - first };
        if (decide(permissions, subject, port).ok) continue;
        return `The peer ${peer.name} does not take port ${port}/${protocol}: see \`hatchway vpn set\`.`;
      }
    }
    return null;
  }

  /** A pinhole to a peer that takes everything is in that already. */
  isCovered({ to }: Pick<MappingSpec, "to">): boolean {
    return isIpv6(to) && this.#openPeers().some(({ v6 }) => v6 === to);
  }

  #openPeers(): StoredVpnPeer[] {
    const nowMs = this.#options.wallMs();
    return this.#peers.filter(
      (peer) => peer.mode.kind === "openAll" && isActive(peer, nowMs) && classifyAddress(peer.v6) === "public",
    );
  }

  /** What is open to peers that take everything, where outside has a way to them at all: IPv6 that the internet routes. */
  openEntries(): NatEntry[] {
    return this.#openPeers().flatMap(({ id, v6 }) =>
      (["tcp", "udp"] as const).map((protocol): NatEntry => {
        const all = { protocol, ...EVERY, to: v6, allow: [], deny: [], limits: null };
        return { kind: "pinhole", id: `${deviceOf(id)}/open-all#${protocol}`, ...all };
      }),
    );
  }

  async info(forwardsOf: (peer: StoredVpnPeer) => number): Promise<VpnInfo> {
    const status = new Map((await this.status()).map((one) => [one.publicKey, one]));
    const nowMs = this.#options.wallMs();
    return {
      v: 1,
      server: this.serverInfo(),
      peers: this.#peers.map((peer) => peerInfo(peer, status.get(peer.publicKey) ?? null, forwardsOf(peer), nowMs)),
    };
  }

  serverInfo(): VpnServerInfo | null {
    if (this.#settings === null) return null;
    return {
      interface: this.#interface,
      ...this.#settings,
      publicKey: this.#applied?.publicKey ?? null,
      backend: this.#applied?.backend ?? null,
      message: this.#problem,
    };
  }

  /** For a gateway's status; null = there is no VPN. */
  summary(): GatewayStatus["vpn"] {
    const server = this.serverInfo();
    if (server === null) return null;
    const { interface: name, listenPort, endpointHost, message } = server;
    return { interface: name, listenPort, endpointHost, peers: this.size, up: message === null };
  }

  /** Where the interface sees peers now; empty when it does not say. */
  async status(): Promise<readonly VpnPeerStatus[]> {
    if (this.#settings === null) return [];
    const status = await this.#options.device.status();
    return status.ok ? status.value.peers : [];
  }

  /** The interface has it when this resolves. */
  async add(draft: VpnPeerDraft, account: string | null, actor?: string): Promise<StoredVpnPeer> {
    this.#needServer();
    const request = { ...draft, mode: parseMode(draft.mode), account };
    const peer = mustBe(await this.#options.store.vpn.add(request, this.#options.wallMs(), actor));
    return await this.#changed(peer.id);
  }

  async change(nameOrId: string, { mode, ...rest }: VpnPeerPatch, actor?: string): Promise<StoredVpnPeer> {
    const change: VpnPeerChange = { ...rest, ...(mode === undefined ? {} : { mode: parseMode(mode) }) };
    const peer = mustBe(await this.#options.store.vpn.change(nameOrId, change, this.#options.wallMs(), actor));
    return await this.#changed(peer.id);
  }

  async rotate(nameOrId: string, keys: VpnPeerKeys, actor?: string): Promise<StoredVpnPeer> {
    const peer = mustBe(await this.#options.store.vpn.rotate(nameOrId, keys, this.#options.wallMs(), actor));
    return await this.#changed(peer.id);
  }

  async find(nameOrId: string): Promise<StoredVpnPeer> {
    return mustBe(await this.#options.store.vpn.find(nameOrId));
  }

  /** Its addresses are free for the next peer: what leads to them goes first. */
  async remove(peer: StoredVpnPeer, actor?: string): Promise<void> {
    mustBe(await this.#options.store.vpn.remove(peer.id, this.#options.wallMs(), actor));
    await this.#reload();
    await this.apply();
  }

  /** Whose peers are may be another now. */
  async ownersChanged(): Promise<void> {
    await this.#reload();
  }

  async #changed(id: string): Promise<StoredVpnPeer> {
    await this.#reload();
    await this.apply();
    const peer = this.#peers.find((one) => one.id === id);
    if (peer === undefined) throw new ControlError("failed", "The peer was removed meanwhile.");
    return peer;
  }

  #needServer(): void {
    if (this.#settings !== null) return;
    throw new GatewayRefused("noServer", "There is no VPN yet: make it with `hatchway vpn init`.");
  }
}

/** What the book and the store call a peer: never the name of a LAN host, which is its address. */
export function deviceOf(peerId: string): string {
  return `vpn-${peerId}`;
}

export function peerInfo(
  peer: StoredVpnPeer,
  status: VpnPeerStatus | null,
  forwards: number,
  nowMs: number,
): VpnPeerInfo {
  const { id, name, publicKey, v4, v6, mode, maxPorts, createdMs, expiresMs, disabled } = peer;
  const endpoint = status?.endpoint ?? peer.lastEndpoint;
  return {
    id,
    name,
    publicKey,
    v4,
    v6,
    mode: formatMode(mode),
    maxPorts,
    createdMs,
    expiresMs,
    state: disabled ? "disabled" : isActive(peer, nowMs) ? "active" : "expired",
    endpoint: endpoint === null ? null : `${endpoint.address} ${endpoint.port}`,
    latestHandshakeMs: status?.latestHandshakeMs ?? peer.lastHandshakeMs,
    receivedBytes: status?.receivedBytes ?? 0,
    sentBytes: status?.sentBytes ?? 0,
    forwards,
  };
}

function mustBe<T>(result: Result<T, VpnPeerError>): T {
  if (result.ok) return result.value;
  throw new GatewayRefused(result.error.kind, result.error.message);
}
