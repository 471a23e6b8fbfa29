import { ApiFailure, type GatewayBackend, type PageRequest, type Principal } from "./backend.ts";
import { FAKE_ACCOUNTS } from "./fake-access.ts";
import { FAKE_NOW_MS } from "./fake-data.ts";
import { pageOf } from "./fake-page.ts";
import type { Trigger, TriggerDraft, VpnChange, VpnPeer, VpnPeerDraft, VpnPeerPatch, VpnServer } from "./schema.ts";

/** A VPN with a peer of one account and one of another, and a trigger; in memory. */
export class FakeGateway implements GatewayBackend {
  server: VpnServer = {
    interface: "hatchway0",
    network4: "10.77.0.0/24",
    network6: "fd77::/64",
    listenPort: 51_820,
    endpointHost: "vpn.example",
    dns: [],
    mtu: 1_420,
    publicKey: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    backend: "kernel",
    message: null,
  };
  readonly peers = new Map<string, VpnPeer>();
  readonly triggers = new Map<string, Trigger>();

  constructor() {
    for (const [number, name, account] of [
      ["1", "phone", FAKE_ACCOUNTS.house],
      ["2", "tablet", FAKE_ACCOUNTS.others],
    ] as const)
      this.peers.set(`p-${number}`, fakePeer(`p-${number}`, name, account));
    this.#putTrigger({ name: "irc", out: "6667", in: "113" });
  }

  async vpn() {
    return this.server;
  }
  async changeVpn(_who: Principal, change: VpnChange) {
    this.server = { ...this.server, ...change };
    return this.server;
  }
  async listVpnPeers(who: Principal, page: PageRequest) {
    return pageOf(
      [...this.peers.values()].filter(({ account }) => sees(who, account.id)),
      page,
    );
  }
  async getVpnPeer(who: Principal, id: string) {
    return this.#peer(who, id);
  }
  async addVpnPeer(_who: Principal, draft: VpnPeerDraft) {
    const { name, mode, ports = null } = draft;
    const peer = { ...fakePeer(`p-${name}`, name, FAKE_ACCOUNTS.house), mode, ports };
    this.peers.set(peer.id, peer);
    return { peer, server: this.server };
  }
  async changeVpnPeer(who: Principal, id: string, { lifetimeSec: _, disabled, ...patch }: VpnPeerPatch) {
    const before = this.#peer(who, id);
    const state = disabled === undefined ? before.state : disabled ? ("disabled" as const) : ("active" as const);
    const peer: VpnPeer = { ...before, ...patch, state };
    this.peers.set(id, peer);
    return peer;
  }
  async rotateVpnPeer(who: Principal, id: string) {
    return { peer: this.#peer(who, id), server: this.server };
  }
  async removeVpnPeer(who: Principal, id: string) {
    this.peers.delete(this.#peer(who, id).id);
  }
  async listTriggers(who: Principal) {
    return who.role === "admin" ? [...this.triggers.values()] : [];
  }
  async addTrigger(_who: Principal, draft: TriggerDraft) {
    return this.#putTrigger(draft);
  }
  async removeTrigger(_who: Principal, id: string) {
    if (!this.triggers.delete(id)) throw new ApiFailure("not-found", "There is no such trigger.");
  }

  #putTrigger({ name, timeoutSec = 600, secondHost = "refused", ...ports }: TriggerDraft): Trigger {
    const state = { state: "armed", host: null, closesMs: null } as const;
    const trigger: Trigger = {
      id: name,
      name,
      origin: "cli",
      removable: true,
      timeoutSec,
      secondHost,
      ...ports,
      ...state,
    };
    this.triggers.set(name, trigger);
    return trigger;
  }
  #peer(who: Principal, id: string): VpnPeer {
    const peer = this.peers.get(id);
    if (peer === undefined || !sees(who, peer.account.id)) throw new ApiFailure("not-found", "There is no such peer.");
    return peer;
  }
}

function sees(who: Principal, accountId: string): boolean {
  return who.role === "admin" || who.accountId === accountId;
}

function fakePeer(id: string, name: string, account: { readonly id: string; readonly name: string }): VpnPeer {
  return {
    id,
    name,
    account,
    publicKey: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    v4: "10.77.0.2",
    v6: "fd77::2",
    mode: "block-all",
    ports: null,
    forwarded: false,
    maxPorts: null,
    createdMs: FAKE_NOW_MS,
    expiresMs: null,
    state: "active",
    endpoint: null,
    latestHandshakeMs: null,
    receivedBytes: 0,
    sentBytes: 0,
    forwards: 0,
  };
}
