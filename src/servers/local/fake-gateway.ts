import {
  type AddReply,
  type AuditEntry,
  type AuditRequest,
  CONTROL_VERSION,
  ControlError,
  type EventsRequest,
  type FollowedEvent,
  type ForwardInfo,
  type ForwardPatch,
  type GatewayControl,
  type GatewayStatus,
  type MappingDraft,
  type ReloadReport,
  type TriggerDraft,
  type TriggerInfo,
  type VisitInfo,
  type VpnInfo,
  type VpnInitRequest,
  type VpnKeys,
  type VpnPeerDraft,
  type VpnPeerInfo,
  type VpnPeerPatch,
  type VpnPeerReply,
  type VpnServerInfo,
} from "./control.ts";
import { fakeAudit } from "./fake-audit.ts";
import { FakePeople } from "./fake-people.ts";
import { FAKE_COUNTERS, FAKE_PROCESS, FAKE_RELOADED } from "./fake-process.ts";

/** A gateway for tests: one mapping `web`, one trigger. */
export class FakeGateway extends FakePeople implements GatewayControl {
  readonly added: MappingDraft[] = [];
  /** Of `changeForward`. */
  readonly changes: unknown[] = [];
  readonly triggers: TriggerInfo[] = [];
  readonly open: VisitInfo[] = [];
  stopped: { readonly clean: boolean } | null = null;

  async status(): Promise<GatewayStatus> {
    return {
      role: "gateway",
      ...FAKE_PROCESS,
      forwardsOpen: this.added.length,
      counters: FAKE_COUNTERS,
      wan: ["eth0"],
      lan: ["br0"],
      externalAddress: "203.0.113.1",
      mappings: this.added.length,
      servers: [{ name: "NAT-PMP and PCP", listening: true, message: null }],
      vpn: null,
      dropped: { unforwarded: 3 },
      warnings: [],
    };
  }
  async visits(): Promise<readonly VisitInfo[]> {
    return this.open;
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return this.added.map(mappingInfo);
  }
  async addMapping(draft: MappingDraft): Promise<AddReply> {
    this.added.push(draft);
    return { v: CONTROL_VERSION, forward: mappingInfo(draft) };
  }
  async changeForward(nameOrId: string, patch: ForwardPatch): Promise<AddReply> {
    const found = this.added.find(({ name }) => name === nameOrId);
    if (found === undefined) throw new ControlError("usage", `There is no forward "${nameOrId}".`);
    this.changes.push([nameOrId, patch]);
    return { v: CONTROL_VERSION, forward: mappingInfo(found) };
  }
  async removeForward(nameOrId: string): Promise<ForwardInfo> {
    const found = this.added.findIndex(({ name }) => name === nameOrId);
    const [removed] = found < 0 ? [] : this.added.splice(found, 1);
    if (removed === undefined) throw new ControlError("usage", `There is no forward "${nameOrId}".`);
    return mappingInfo(removed);
  }
  async audit(request: AuditRequest): Promise<readonly AuditEntry[]> {
    return fakeAudit(request);
  }
  async listTriggers(): Promise<readonly TriggerInfo[]> {
    return this.triggers;
  }
  async addTrigger({ name, timeoutSec, secondHost }: TriggerDraft): Promise<TriggerInfo> {
    const ports = { out: "6667/tcp", in: "113/tcp" };
    const trigger: TriggerInfo = {
      name,
      origin: "cli",
      ...ports,
      timeoutSec,
      secondHost,
      state: "armed",
      host: null,
      closesMs: null,
    };
    this.triggers.push(trigger);
    return trigger;
  }
  async removeTrigger(name: string): Promise<TriggerInfo> {
    const found = this.triggers.findIndex((trigger) => trigger.name === name);
    const [removed] = found < 0 ? [] : this.triggers.splice(found, 1);
    if (removed === undefined) throw new ControlError("usage", `There is no trigger "${name}".`);
    return removed;
  }
  async reload(): Promise<ReloadReport> {
    return FAKE_RELOADED;
  }
  readonly vpn: VpnServerInfo = {
    interface: "hatchway0",
    network4: "10.77.0.0/24",
    network6: "fd00:77::/64",
    listenPort: 51820,
    endpointHost: "vpn.example.com",
    dns: [],
    mtu: 1420,
    publicKey: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=",
    backend: "kernel",
    message: null,
  };
  readonly peers: VpnPeerInfo[] = [];

  async vpnInit({ endpointHost }: VpnInitRequest): Promise<VpnInfo> {
    return { v: CONTROL_VERSION, server: { ...this.vpn, endpointHost: endpointHost ?? "203.0.113.1" }, peers: [] };
  }
  async vpnList(): Promise<VpnInfo> {
    return { v: CONTROL_VERSION, server: this.vpn, peers: this.peers };
  }
  async vpnAdd({ name, publicKey, mode, maxPorts, expiresMs }: VpnPeerDraft): Promise<VpnPeerReply> {
    const number = this.peers.length + 2;
    const addresses = { v4: `10.77.0.${number}`, v6: `fd00:77::${number}` };
    const never = { endpoint: null, latestHandshakeMs: null, receivedBytes: 0, sentBytes: 0, forwards: 0 };
    const state = { state: "active", createdMs: 0, expiresMs } as const;
    const peer: VpnPeerInfo = { id: `p${number}`, name, publicKey, ...addresses, mode, maxPorts, ...state, ...never };
    this.peers.push(peer);
    return { v: CONTROL_VERSION, peer, server: this.vpn };
  }
  async vpnChange(nameOrId: string, { disabled, ...change }: VpnPeerPatch): Promise<VpnPeerReply> {
    const state = disabled === undefined ? {} : { state: disabled ? ("disabled" as const) : ("active" as const) };
    return this.changed(nameOrId, { ...change, ...state });
  }
  async vpnRotate(nameOrId: string, { publicKey }: VpnKeys): Promise<VpnPeerReply> {
    return this.changed(nameOrId, { publicKey });
  }
  async vpnRemove(nameOrId: string): Promise<VpnPeerInfo> {
    const { peer } = this.changed(nameOrId, {});
    this.peers.splice(
      this.peers.findIndex(({ id }) => id === peer.id),
      1,
    );
    return peer;
  }
  private changed(nameOrId: string, change: Partial<VpnPeerInfo>): VpnPeerReply {
    const at = this.peers.findIndex(({ name, id }) => name === nameOrId || id === nameOrId);
    const peer = this.peers[at];
    if (peer === undefined) throw new ControlError("usage", `There is no peer "${nameOrId}".`);
    const next = { ...peer, ...change };
    this.peers[at] = next;
    return { v: CONTROL_VERSION, peer: next, server: this.vpn };
  }
  async *events({ follow }: EventsRequest, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    yield { v: CONTROL_VERSION, event: "missed", count: 2 };
    if (follow) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  async stop(options?: { readonly clean?: boolean }): Promise<void> {
    this.stopped = { clean: options?.clean === true };
  }
}

function mappingInfo({ id, name, ports, to, enabled }: MappingDraft): ForwardInfo {
  return {
    id,
    name,
    type: "mapping",
    origin: "cli",
    device: to,
    group: null,
    state: enabled ? "open" : "disabled",
    message: null,
    endpoints: ports.map(({ protocol, first, last, internalFirst }) => ({
      protocol,
      host: "203.0.113.1",
      port: first,
      lastPort: last,
      internalHost: to,
      internalPort: internalFirst,
    })),
    via: "kernel",
    leaseEndsMs: null,
    counters: FAKE_COUNTERS,
  };
}
