import type { AuditEntry, CheckReport, Device, Forward, Overview, Preset, Role, User, Visit } from "./schema.ts";

/** A moment, in milliseconds since the epoch. */
export const FAKE_NOW_MS = Date.UTC(2026, 10, 28);

const NO_COUNTERS: Forward["counters"] = {
  visitorsTotal: 0,
  visitorsOpen: 0,
  bytesIn: 0,
  bytesOut: 0,
  refused: {},
  datagramsDropped: 0,
  answerMs: null,
};

export interface FakeAccount {
  readonly id: string;
  readonly name: string;
}

export function fakeForward(id: string, name: string, ports: string, device: Device): Forward {
  return {
    id,
    name,
    device: { id: device.id, name: device.name },
    account: device.account,
    group: null,
    ports,
    to: "127.0.0.1",
    enabled: true,
    origin: "api",
    editable: true,
    removable: true,
    way: "relay",
    state: "open",
    message: null,
    endpoints: [],
    leaseEndsMs: null,
    allow: [],
    deny: [],
    limits: { connections: null, connectionsPerSource: null, newPerSourcePerSec: null, bandwidthBytesPerSec: null },
    proxyProtocol: null,
    healthCheck: false,
    site: null,
    counters: NO_COUNTERS,
  };
}

export function fakeDevice(id: string, name: string, account: FakeAccount): Device {
  return {
    id,
    name,
    account,
    connected: true,
    managed: true,
    address: "192.0.2.7:50000",
    version: "0.1.0",
    enrolledMs: FAKE_NOW_MS,
    lastSeenMs: FAKE_NOW_MS,
    rttMs: 12,
    forwards: 1,
  };
}

export function fakeUser(id: string, name: string, role: Role, account: FakeAccount): User {
  return {
    id,
    name,
    role,
    account,
    createdMs: FAKE_NOW_MS,
    lastSeenMs: null,
    disabled: false,
    hasTotp: false,
    passkeys: 0,
    quota: { ports: null, maxForwards: null, maxPorts: null, maxDevices: null, bandwidthBytesPerSec: null },
  };
}

export function fakeVisit(id: string, forward: Forward): Visit {
  return {
    id,
    forwardId: forward.id,
    forwardName: forward.name,
    device: forward.device.name,
    protocol: "tcp",
    visitor: "198.51.100.9:40000",
    entry: "203.0.113.1:8840",
    openedMs: FAKE_NOW_MS,
    bytesIn: 1,
    bytesOut: 2,
  };
}

export function fakeAuditEntry(id: number): AuditEntry {
  return { id, atMs: FAKE_NOW_MS, actor: "ada", action: "forward.add", subject: "web", detail: { ports: "8840" } };
}

export const FAKE_REPORT: CheckReport = {
  v: 1,
  target: { protocol: "tcp", host: "relay.example", port: 8840, forward: "web" },
  state: "open",
  hop: "none",
  sure: true,
  rule: "open",
  sentence: "8840/tcp is open.",
  remedy: null,
  evidence: [],
};

export const FAKE_PRESETS: readonly Preset[] = [
  {
    id: "minecraft-java",
    name: "Minecraft",
    variant: "Java",
    ports: [{ protocol: "tcp", ports: "25565", role: "required" }],
    samePortRequired: false,
    inboundNeeded: true,
    risk: "low",
    note: null,
    source: "https://minecraft.wiki/w/Server",
    checked: "2026-11",
  },
];

export const FAKE_OVERVIEW: Overview = {
  version: "0.1.0",
  startedMs: FAKE_NOW_MS,
  roles: ["relay", "gateway"],
  publicHost: "relay.example",
  listen: "0.0.0.0:7744",
  ports: "8000-9000",
  gateway: null,
  devices: { connected: 2, enrolled: 2 },
  forwards: { open: 2, all: 2 },
  counters: NO_COUNTERS,
  memoryBytes: 1_000_000,
  pid: 4_711,
  fingerprint: "ab".repeat(32),
  draining: false,
  consoleCertificate: null,
  names: { http: 80, https: 443, domains: ["*.example.org"] },
};
