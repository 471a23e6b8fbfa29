import { DEFAULT_OPTIONS, partOf } from "../../core/forward.ts";
import {
  type AddReply,
  type AgentControl,
  type AgentStatus,
  type AssignRequest,
  type AttachEvent,
  type AuditEntry,
  type AuditRequest,
  type CheckReport,
  type CheckRequest,
  CONTROL_VERSION,
  ControlError,
  type DeviceInfo,
  type Endpoint,
  type ForwardInfo,
  type ForwardPatch,
  type ForwardSpec,
  type JoinCodeRequest,
  type PingEvent,
  type PingRequest,
  type RelayControl,
  type RelayStatus,
  type ReloadReport,
  type UpgradeReply,
  type UpgradeRequest,
  type VisitInfo,
} from "./control.ts";
import { fakeAudit } from "./fake-audit.ts";
import { FakePeople } from "./fake-people.ts";
import { FAKE_COUNTERS, FAKE_PROCESS, FAKE_RELOADED } from "./fake-process.ts";
import { fakeSshKeys } from "./fake-ssh.ts";

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
export class FakeRelay extends FakePeople implements RelayControl {
  readonly codes: JoinCodeRequest[] = [];
  readonly assigned: AssignRequest[] = [];
  /** Of `changeForward`. */
  readonly changes: unknown[] = [];
  readonly upgrades: UpgradeRequest[] = [];
  readonly declined: string[] = [];
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
      ...FAKE_PROCESS,
      forwardsOpen: 0,
      counters: FAKE_COUNTERS,
      listen: "0.0.0.0:7744",
      publicHost: "relay.example",
      ports: "10000-20000",
      fingerprint: "ab".repeat(32),
      devicesConnected: 1,
      devicesEnrolled: 1,
      draining: false,
      consoleCertificate: null,
    };
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return [forwardInfo(exposeSpec("web", 8080), "den")];
  }
  async addForward({ device, spec, to }: AssignRequest): Promise<AddReply> {
    if (device !== this.device.name) throw new ControlError("usage", `No device is called ${device}.`);
    this.assigned.push({ device, spec, to });
    return { v: CONTROL_VERSION, forward: forwardInfo({ kind: "remote", remote: spec, to }, device) };
  }
  async changeForward(nameOrId: string, device: string | null, patch: ForwardPatch): Promise<AddReply> {
    const found = this.assigned.find(({ spec }) => spec.name === nameOrId);
    if (found === undefined) throw new ControlError("usage", `There is no forward "${nameOrId}".`);
    this.changes.push([nameOrId, device, patch]);
    const { device: of, spec, to } = found;
    return { v: CONTROL_VERSION, forward: forwardInfo({ kind: "remote", remote: spec, to }, of) };
  }
  async removeForward(nameOrId: string): Promise<ForwardInfo> {
    const found = this.assigned.find(({ spec }) => spec.name === nameOrId || spec.id === nameOrId);
    if (found === undefined) throw new ControlError("usage", `There is no forward "${nameOrId}".`);
    this.assigned.splice(this.assigned.indexOf(found), 1);
    return forwardInfo({ kind: "remote", remote: found.spec, to: found.to }, found.device);
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
  readonly #sshKeys = fakeSshKeys();
  readonly listSshKeys = this.#sshKeys.listSshKeys;
  readonly addSshKey = this.#sshKeys.addSshKey;
  readonly removeSshKey = this.#sshKeys.removeSshKey;
  readonly sshHost = this.#sshKeys.sshHost;
  async reload(): Promise<ReloadReport> {
    return FAKE_RELOADED;
  }
  async audit(request: AuditRequest): Promise<readonly AuditEntry[]> {
    return fakeAudit(request);
  }
  async visits(): Promise<readonly VisitInfo[]> {
    return [];
  }
  async handOver(): Promise<string> {
    return "/run/hatchway/upgrade.sock";
  }
  async declineUpgrade(message: string): Promise<void> {
    this.declined.push(message);
  }
  async upgrade(request: UpgradeRequest): Promise<UpgradeReply> {
    this.upgrades.push(request);
    return { v: CONTROL_VERSION, pid: 2, version: "0.2.0", tookMs: 300 };
  }
}

/** An agent for tests: every forward opens at once on `relay.example`; ports below 1024 are refused. */
export class FakeAgent implements AgentControl {
  attached: string[] = [];
  /** Of `changeForward`. */
  readonly changes: unknown[] = [];
  /** What the next `attach` throws. */
  failAttach: ControlError | null = null;
  readonly pings: PingRequest[] = [];
  /** What every probe of `ping` takes, milliseconds; null = it is lost. */
  pinged: { direct: number | null; forwarded: number | null } = { direct: 1, forwarded: 21 };
  private readonly forwards = new Map<string, ForwardSpec>();
  private withdrawn = Promise.withResolvers<void>();

  /** Resolves when the forwards of an `attach` were withdrawn. */
  async allWithdrawn(): Promise<void> {
    await this.withdrawn.promise;
  }

  async status(): Promise<AgentStatus> {
    return {
      role: "agent",
      ...FAKE_PROCESS,
      forwardsOpen: this.forwards.size,
      counters: FAKE_COUNTERS,
      name: "den",
      deviceId: "dev-1",
      relay: "relay.example:7744",
      link: "up",
      message: null,
      connectedMs: 0,
      rttMs: 12,
      carriers: 3,
      ignored: [],
    };
  }
  async listForwards(): Promise<readonly ForwardInfo[]> {
    return [...this.forwards.values()].map((spec) => forwardInfo(spec, null));
  }
  async addForward(spec: ForwardSpec): Promise<AddReply> {
    if (isPrivileged(spec)) throw new ControlError("refused", "The relay does not give out ports below 1024.");
    this.forwards.set(partOf(spec).id, spec);
    return { v: CONTROL_VERSION, forward: forwardInfo(spec, null) };
  }
  async changeForward(idOrName: string, patch: ForwardPatch): Promise<AddReply> {
    const spec = [...this.forwards.values()].find((one) => partOf(one).name === idOrName);
    if (spec === undefined) throw new ControlError("usage", `No forward is called ${idOrName}.`);
    this.changes.push([idOrName, patch]);
    return { v: CONTROL_VERSION, forward: forwardInfo(spec, null) };
  }
  async removeForward(idOrName: string): Promise<ForwardInfo> {
    for (const [id, spec] of this.forwards) {
      if (id !== idOrName && partOf(spec).name !== idOrName) continue;
      this.forwards.delete(id);
      return forwardInfo(spec, null);
    }
    throw new ControlError("usage", `No forward is called ${idOrName}.`);
  }
  async check({ target }: CheckRequest): Promise<CheckReport> {
    if (target.kind === "name") throw new ControlError("usage", `No forward is called ${target.name}.`);
    const { port } = target;
    const isOpen = [...this.forwards.values()].flatMap(endpoints).some((endpoint) => endpoint.port === port);
    return {
      v: CONTROL_VERSION,
      target: { protocol: target.protocol ?? "tcp", host: "relay.example", port, forward: null },
      state: isOpen ? "open" : "closed",
      hop: isOpen ? "none" : "relay",
      sure: true,
      rule: isOpen ? "open" : "no forward",
      sentence: isOpen ? "It is open." : "No forward has it.",
      remedy: isOpen ? null : "Open it.",
      evidence: [{ hop: "relay", mark: isOpen ? "ok" : "bad", text: "asked" }],
    };
  }
  async reload(): Promise<ReloadReport> {
    return FAKE_RELOADED;
  }
  async visits(): Promise<readonly VisitInfo[]> {
    return [];
  }

  /** Two probes of each path: 1 ms straight, 21 ms through the tunnel, unless `pinged` says otherwise. */
  async *ping(request: PingRequest): AsyncGenerator<PingEvent, void, void> {
    this.pings.push(request);
    const { only, target } = request;
    const paths = (["direct", "forwarded"] as const).filter((path) => only === null || only === path);
    const to = target.kind === "host" ? `${target.host}:${target.port}` : "127.0.0.1:80";
    const described = paths.map((path) => {
      return { path, via: path === "direct" ? "here" : "relay", to, measure: "connect" as const };
    });
    yield { event: "started", v: CONTROL_VERSION, protocol: target.protocol, paths: described };
    for (const seq of [1, 2]) {
      for (const path of paths) {
        const ms = this.pinged[path];
        const about = { event: "probe", v: CONTROL_VERSION, path, seq, atMs: seq * 100 } as const;
        yield ms === null ? { ...about, ms, lost: "timeout" } : { ...about, ms, lost: null };
      }
    }
  }

  async *attach(specs: readonly ForwardSpec[], signal: AbortSignal): AsyncGenerator<AttachEvent, void, void> {
    if (this.failAttach !== null) throw this.failAttach;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.attached = specs.map((spec) => partOf(spec).id);
    this.withdrawn = Promise.withResolvers<void>();
    try {
      for (const spec of specs) {
        const about = { v: CONTROL_VERSION, id: partOf(spec).id, name: partOf(spec).name } as const;
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
      const forwards = specs.map((spec) => ({ id: partOf(spec).id, ...FAKE_COUNTERS }));
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

function specType(spec: ForwardSpec): (AttachEvent & { event: "exposed" })["type"] {
  return spec.kind === "local" ? spec.local.type : spec.kind;
}

function endpoints(spec: ForwardSpec): Endpoint[] {
  const host = spec.kind === "local" ? spec.local.bind : spec.kind === "remote" ? "relay.example" : "router.example";
  const internalHost =
    spec.kind === "remote" ? spec.to : spec.kind === "local" ? spec.local.to : (spec.upstream.to ?? "192.168.1.20");
  return partOf(spec).ports.map((mapping) => {
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
    id: partOf(spec).id,
    name: partOf(spec).name,
    type: specType(spec),
    origin: "cli",
    device,
    group: null,
    state: "open",
    message: null,
    endpoints: endpoints(spec),
    via: "relay",
    leaseEndsMs: null,
    counters: FAKE_COUNTERS,
  };
}
