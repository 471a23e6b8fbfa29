import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import {
  type AddReply,
  type AgentControl,
  type AgentStatus,
  type AttachEvent,
  CONTROL_VERSION,
  ControlError,
  type Counters,
  type DeviceInfo,
  type Endpoint,
  type EventsRequest,
  type FollowedEvent,
  type ForwardInfo,
  type ForwardSpec,
  type GatewayControl,
  type GatewayStatus,
  type JoinCodeRequest,
  type MappingDraft,
  type RelayControl,
  type RelayStatus,
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

const COUNTERS: Counters = {
  visitorsTotal: 3,
  visitorsOpen: 1,
  bytesIn: 1_000,
  bytesOut: 2_000_000,
  refused: { sourceNotAllowed: 2 },
  datagramsDropped: 0,
  answerMs: { p50: 1.5, p90: 4 },
};
const PROCESS = { v: CONTROL_VERSION, version: "0.1.0", pid: 1, startedMs: 0, memoryBytes: 50_000_000 } as const;
const RELOADED: ReloadReport = {
  v: CONTROL_VERSION,
  added: ["web"],
  changed: [],
  removed: [],
  unchanged: 2,
  refused: [],
  needRestart: [],
};

/** A remote forward of one port to 127.0.0.1, as `expose` asks for it. */
export function exposeSpec(name: string, port: number): ForwardSpec {
  return {
    kind: "remote",
    to: "127.0.0.1",
    remote: {
      id: name,
      name,
      group: null,
      ports: [{ protocol: "tcp", first: port, last: port, internalFirst: port }],
      options: DEFAULT_OPTIONS,
      enabled: true,
      lifetimeSec: 600,
    },
  };
}

/** A relay for tests: one device `den`, nothing behind it. */
export class FakeRelay implements RelayControl {
  readonly codes: JoinCodeRequest[] = [];
  private device: DeviceInfo = {
    id: "dev-1",
    name: "den",
    account: "default",
    connected: true,
    address: "192.0.2.7:50000",
    version: "0.1.0",
    enrolledMs: 0,
    lastSeenMs: 0,
    rttMs: 12,
    forwards: 0,
    revoked: false,
  };

  async status(): Promise<RelayStatus> {
    return {
      role: "relay",
      ...PROCESS,
      forwardsOpen: 0,
      counters: COUNTERS,
      listen: "0.0.0.0:7744",
      publicHost: "relay.example",
      ports: "10000-20000",
      fingerprint: "ab".repeat(32),
      devicesConnected: 1,
      devicesEnrolled: 1,
      draining: false,
    };
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return [forwardInfo(exposeSpec("web", 8080), "den")];
  }
  async listDevices(): Promise<readonly DeviceInfo[]> {
    return [this.device];
  }
  async revokeDevice(nameOrId: string): Promise<DeviceInfo> {
    if (nameOrId !== this.device.name) throw new ControlError("usage", `No device is called ${nameOrId}.`);
    this.device = { ...this.device, revoked: true };
    return this.device;
  }
  async createJoinCode(request: JoinCodeRequest): Promise<string> {
    this.codes.push(request);
    return `code-for-${request.name}`;
  }
  async reload(): Promise<ReloadReport> {
    return RELOADED;
  }
  async visits(): Promise<readonly VisitInfo[]> {
    return [];
  }
}

/** A gateway for tests: one mapping `web`, one trigger. */
export class FakeGateway implements GatewayControl {
  readonly added: MappingDraft[] = [];
  readonly triggers: TriggerInfo[] = [];
  stopped: { readonly clean: boolean } | null = null;

  async status(): Promise<GatewayStatus> {
    return {
      role: "gateway",
      ...PROCESS,
      forwardsOpen: this.added.length,
      counters: COUNTERS,
      wan: ["eth0"],
      lan: ["br0"],
      externalAddress: "203.0.113.1",
      mappings: this.added.length,
      servers: [{ name: "NAT-PMP and PCP", listening: true, message: null }],
      dropped: { unforwarded: 3 },
      warnings: [],
    };
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return this.added.map(mappingInfo);
  }
  async addMapping(draft: MappingDraft): Promise<AddReply> {
    this.added.push(draft);
    return { v: CONTROL_VERSION, forward: mappingInfo(draft) };
  }
  async removeForward(nameOrId: string): Promise<ForwardInfo> {
    const found = this.added.findIndex(({ name }) => name === nameOrId);
    const [removed] = found < 0 ? [] : this.added.splice(found, 1);
    if (removed === undefined) throw new ControlError("usage", `There is no forward "${nameOrId}".`);
    return mappingInfo(removed);
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
    return RELOADED;
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
    counters: COUNTERS,
  };
}

/** An agent for tests: every forward opens at once on `relay.example`; ports below 1024 are refused. */
export class FakeAgent implements AgentControl {
  attached: string[] = [];
  /** What the next `attach` throws. */
  failAttach: ControlError | null = null;
  private readonly forwards = new Map<string, ForwardSpec>();
  private withdrawn = Promise.withResolvers<void>();

  /** Resolves when the forwards of an `attach` were withdrawn. */
  async allWithdrawn(): Promise<void> {
    await this.withdrawn.promise;
  }

  async status(): Promise<AgentStatus> {
    return {
      role: "agent",
      ...PROCESS,
      forwardsOpen: this.forwards.size,
      counters: COUNTERS,
      name: "den",
      deviceId: "dev-1",
      relay: "relay.example:7744",
      link: "up",
      message: null,
      connectedMs: 0,
      rttMs: 12,
      carriers: 3,
    };
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return [...this.forwards.values()].map((spec) => forwardInfo(spec, null));
  }
  async addForward(spec: ForwardSpec): Promise<AddReply> {
    if (isPrivileged(spec)) throw new ControlError("refused", "The relay does not give out ports below 1024.");
    this.forwards.set(specId(spec), spec);
    return { v: CONTROL_VERSION, forward: forwardInfo(spec, null) };
  }
  async removeForward(idOrName: string): Promise<ForwardInfo> {
    for (const [id, spec] of this.forwards) {
      if (id !== idOrName && specName(spec) !== idOrName) continue;
      this.forwards.delete(id);
      return forwardInfo(spec, null);
    }
    throw new ControlError("usage", `No forward is called ${idOrName}.`);
  }
  async reload(): Promise<ReloadReport> {
    return RELOADED;
  }
  async visits(): Promise<readonly VisitInfo[]> {
    return [];
  }

  async *attach(specs: readonly ForwardSpec[], signal: AbortSignal): AsyncGenerator<AttachEvent, void, void> {
    if (this.failAttach !== null) throw this.failAttach;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.attached = specs.map(specId);
    this.withdrawn = Promise.withResolvers<void>();
    try {
      for (const spec of specs) {
        const about = { v: CONTROL_VERSION, id: specId(spec), name: specName(spec) } as const;
        if (isPrivileged(spec)) {
          yield {
            event: "refused",
            ...about,
            kind: "policy",
            message: "The relay does not give out ports below 1024.",
          };
        } else {
          yield { event: "exposed", ...about, type: specType(spec), via: "relay", endpoints: endpoints(spec) };
        }
      }
      if (specs.every(isPrivileged)) return;
      const forwards = specs.map((spec) => ({ id: specId(spec), ...COUNTERS }));
      yield { event: "counters", v: CONTROL_VERSION, atMs: 0, rttMs: 12, forwards };
      await aborted;
    } finally {
      this.attached = [];
      this.withdrawn.resolve();
    }
  }
}

function isPrivileged(spec: ForwardSpec): boolean {
  return spec.kind === "remote" && spec.remote.ports.some((mapping) => mapping.first > 0 && mapping.first < 1_024);
}

function specId(spec: ForwardSpec): string {
  return spec.kind === "remote" ? spec.remote.id : spec.local.id;
}

function specName(spec: ForwardSpec): string {
  return spec.kind === "remote" ? spec.remote.name : spec.local.name;
}

function specType(spec: ForwardSpec): (AttachEvent & { event: "exposed" })["type"] {
  return spec.kind === "remote" ? "remote" : spec.local.type;
}

function endpoints(spec: ForwardSpec): Endpoint[] {
  const ports = spec.kind === "remote" ? spec.remote.ports : spec.local.ports;
  const host = spec.kind === "remote" ? "relay.example" : spec.local.bind;
  const internalHost = spec.kind === "remote" ? spec.to : spec.local.to;
  return ports.map((mapping) => {
    const port = mapping.first === 0 ? 20_000 : mapping.first;
    return {
      protocol: mapping.protocol,
      host,
      port,
      lastPort: port + (mapping.last - mapping.first),
      internalHost,
      internalPort: internalHost === null ? null : mapping.internalFirst,
    };
  });
}

function forwardInfo(spec: ForwardSpec, device: string | null): ForwardInfo {
  return {
    id: specId(spec),
    name: specName(spec),
    type: specType(spec),
    origin: "cli",
    device,
    group: null,
    state: "open",
    message: null,
    endpoints: endpoints(spec),
    via: "relay",
    leaseEndsMs: null,
    counters: COUNTERS,
  };
}
