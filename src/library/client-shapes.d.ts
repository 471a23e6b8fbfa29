// Made by scripts/client-types.ts of src/servers/api/schema.ts, which says what each field means: change it there.
// biome-ignore-all format: it is made by a program

export interface AuditEntry {
  readonly id: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Record<string, unknown>;
}

export interface BackupDraft {
  readonly passphrase: string;
}

export interface CheckReport {
  readonly v: 1;
  readonly target: {
    readonly protocol: "tcp" | "udp";
    readonly host: string | null;
    readonly port: number;
    readonly forward: string | null;
  };
  readonly state: "open" | "closed" | "filtered" | "dead-service" | "unknown";
  readonly hop: "dns" | "isp" | "router" | "relay" | "policy" | "agent" | "host-firewall" | "service" | "none";
  readonly sure: boolean;
  readonly rule: string;
  readonly sentence: string;
  readonly remedy: string | null;
  readonly evidence: readonly {
    readonly hop: "dns" | "isp" | "router" | "relay" | "policy" | "agent" | "host-firewall" | "service" | "none";
    readonly mark: "ok" | "bad" | "unknown";
    readonly text: string;
  }[];
}

export interface Counters {
  readonly visitorsTotal: number;
  readonly visitorsOpen: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly refused: Partial<Record<"reset" | "serviceRefused" | "serviceTimeout" | "serviceUnreachable" | "hostNotFound" | "exitNotAllowed" | "policy" | "deviceAway" | "noForward" | "connectionLimit" | "rateLimit" | "sourceNotAllowed" | "unhealthy" | "idle" | "killed" | "shutdown" | "carrierLost" | "protocolError" | "resources" | "proxyHeader", number>>;
  readonly datagramsDropped: number;
  readonly answerMs: { readonly p50: number; readonly p90: number } | null;
}

export interface Device {
  readonly id: string;
  readonly name: string;
  readonly account: { readonly id: string; readonly name: string };
  readonly connected: boolean;
  readonly managed: boolean | null;
  readonly address: string | null;
  readonly version: string | null;
  readonly enrolledMs: number;
  readonly lastSeenMs: number | null;
  readonly rttMs: number | null;
  readonly forwards: number;
}

export interface Endpoint {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly lastPort: number;
  readonly internalHost: string | null;
  readonly internalPort: number | null;
  readonly url?: string;
}

export interface Forward {
  readonly id: string;
  readonly name: string;
  readonly device: { readonly id: string; readonly name: string };
  readonly account: { readonly id: string; readonly name: string };
  readonly group: string | null;
  readonly ports: string;
  readonly to: string | null;
  readonly enabled: boolean;
  readonly origin: "cli" | "config" | "api" | "natpmp" | "pcp" | "igd";
  readonly editable: boolean;
  readonly removable: boolean;
  readonly way: "relay" | "kernel";
  readonly state: "open" | "waiting" | "refused" | "disabled" | "away" | "unhealthy";
  readonly message: string | null;
  readonly endpoints: readonly Endpoint[];
  readonly leaseEndsMs: number | null;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly limits: {
    readonly connections: number | null;
    readonly connectionsPerSource: number | null;
    readonly newPerSourcePerSec: number | null;
    readonly bandwidthBytesPerSec: number | null;
  };
  readonly proxyProtocol: "v1" | "v2" | null;
  readonly healthCheck: boolean;
  readonly site: Site | null;
  readonly counters: Counters;
}

export interface ForwardDraft {
  readonly device: string;
  readonly ports: string;
  readonly to?: string;
  readonly protocol?: "tcp" | "udp" | "tcp+udp";
  readonly name?: string;
  readonly enabled?: boolean;
  readonly allow?: string[];
  readonly deny?: string[];
  readonly connections?: number;
  readonly connectionsPerSource?: number;
  readonly newPerSource?: string;
  readonly bandwidth?: string;
  readonly proxyProtocol?: "v1" | "v2";
  readonly healthCheck?: boolean | string;
  readonly as?: string;
  readonly group?: string;
  readonly idle?: string;
  readonly udpIdle?: string;
  readonly lifetime?: string;
  readonly host?: string[];
  readonly tls?: "end" | "pass" | "off";
  readonly http2?: boolean;
  readonly logins?: { readonly user: string; readonly password: string }[];
}

export interface ForwardPatch {
  readonly ports?: string;
  readonly to?: string | null;
  readonly protocol?: "tcp" | "udp" | "tcp+udp";
  readonly name?: string;
  readonly enabled?: boolean;
  readonly allow?: string[];
  readonly deny?: string[];
  readonly connections?: number | null;
  readonly connectionsPerSource?: number | null;
  readonly newPerSource?: string | null;
  readonly bandwidth?: string | null;
  readonly proxyProtocol?: "v1" | "v2" | null;
  readonly healthCheck?: boolean | string | null;
  readonly idle?: string | null;
  readonly udpIdle?: string | null;
  readonly host?: string[];
  readonly tls?: "end" | "pass" | "off";
  readonly http2?: boolean;
  readonly logins?: { readonly user: string; readonly password?: string }[];
}

export interface ForwardPreview {
  readonly meaning: readonly string[];
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly warnings: readonly string[];
}

export interface GatewayOverview {
  readonly wan: readonly string[];
  readonly lan: readonly string[];
  readonly externalAddress: string | null;
  readonly servers: readonly { readonly name: string; readonly listening: boolean; readonly message: string | null }[];
  readonly dropped: Record<string, number>;
  readonly warnings: readonly string[];
}

export interface Invite {
  readonly id: string;
  readonly role: Role;
  readonly account: { readonly id: string; readonly name: string } | null;
  readonly createdMs: number;
  readonly expiresMs: number;
}

export interface InviteDraft {
  readonly role: Role;
  readonly account?: string;
  readonly lifetimeSec?: number | undefined;
}

export interface JoinCodeDraft {
  readonly name: string;
  readonly ports?: string;
  readonly lifetimeSec?: number | undefined;
  readonly account?: string;
}

export type LiveEvent = {
  readonly event: "forward";
  readonly forward: Forward;
} | {
  readonly event: "forward-gone";
  readonly id: string;
} | {
  readonly event: "device";
  readonly device: Device;
} | {
  readonly event: "device-gone";
  readonly id: string;
} | {
  readonly event: "traffic";
  readonly atMs: number;
  readonly visitorsOpen: number;
  readonly forwards: readonly {
    readonly id: string;
    readonly visitorsOpen: number;
    readonly visitorsTotal: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  }[];
} | {
  readonly event: "vpn-peer";
  readonly peer: VpnPeer;
} | {
  readonly event: "vpn-peer-gone";
  readonly id: string;
} | {
  readonly event: "trigger";
  readonly trigger: Trigger;
} | {
  readonly event: "trigger-gone";
  readonly id: string;
};

export interface MadeInvite {
  readonly invite: Invite;
  readonly link: string;
}

export interface MadeJoinCode {
  readonly code: string;
  readonly command: string;
  readonly expiresMs: number;
}

export interface MadeToken {
  readonly token: Token;
  readonly secret: string;
}

export interface Me {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly account: { readonly id: string; readonly name: string };
  readonly token: {
    readonly id: string;
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly expiresMs: number | null;
  } | null;
  readonly hasTotp: boolean;
  readonly passkeys: number;
}

export interface NameQuestion {
  readonly host: string;
}

export interface NameReport {
  readonly host: string;
  readonly leads: "here" | "partly" | "elsewhere" | "nowhere" | "unknown";
  readonly addresses: readonly string[];
  readonly sentence: string;
  readonly remedy: string | null;
  readonly records: readonly { readonly name: string; readonly type: "A" | "AAAA" | "CNAME"; readonly value: string }[];
}

export interface Overview {
  readonly version: string;
  readonly startedMs: number;
  readonly roles: readonly ("relay" | "gateway")[];
  readonly publicHost: string | null;
  readonly listen: string | null;
  readonly ports: string;
  readonly gateway: GatewayOverview | null;
  readonly devices: { readonly connected: number; readonly enrolled: number };
  readonly forwards: { readonly open: number; readonly all: number };
  readonly counters: Counters;
  readonly memoryBytes: number | null;
  readonly pid: number;
  readonly fingerprint: string | null;
  readonly draining: boolean;
  readonly consoleCertificate: { readonly untilMs: number; readonly problem: string | null } | null;
  readonly names: SiteOffer | null;
}

export interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
  readonly lastUsedMs: number | null;
}

export interface PasskeyAnswer {
  readonly challengeId: string;
  readonly response: WebAuthnJson;
  readonly name?: string;
}

export interface PasskeyChallenge {
  readonly challengeId: string;
  readonly options: WebAuthnJson;
}

export interface PasswordChange {
  readonly current: string;
  readonly next: string;
}

export interface PasswordProof {
  readonly password: string;
}

export interface PendingRestore {
  readonly restore: RestoreInfo | null;
}

export type PingEvent = {
  readonly event: "started";
  readonly port: number;
  readonly samples: number;
  readonly everyMs: number;
} | {
  readonly event: "sample";
  readonly seq: number;
  readonly atMs: number;
  readonly linkMs: number | null;
  readonly serviceMs: number | null;
  readonly lost: string | null;
} | {
  readonly event: "done";
};

export interface Preset {
  readonly id: string;
  readonly name: string;
  readonly variant: string | null;
  readonly ports: readonly {
    readonly protocol: "tcp" | "udp";
    readonly ports: string;
    readonly role: "required" | "optional" | "admin" | "lan-only";
  }[];
  readonly samePortRequired: boolean;
  readonly inboundNeeded: boolean;
  readonly risk: "low" | "caution" | "danger";
  readonly note: string | null;
  readonly source: string;
  readonly checked: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

export interface Redeem {
  readonly token: string;
  readonly name: string;
  readonly password: string;
}

export interface ReloadReport {
  readonly v: 1;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: number;
  readonly refused: readonly string[];
  readonly needRestart: readonly string[];
}

export interface RestoreInfo {
  readonly state: "checked" | "staged";
  readonly madeMs: number;
  readonly version: string;
  readonly counts: {
    readonly accounts: number;
    readonly people: number;
    readonly devices: number;
    readonly forwards: number;
  };
  readonly parts: readonly string[];
}

export type Role = "admin" | "user" | "viewer";

export interface RouterReport {
  readonly atMs: number;
  readonly routers: readonly {
    readonly family: 4 | 6;
    readonly address: string;
    readonly interfaceName: string;
    readonly ownAddress: string;
  }[];
  readonly name: string | null;
  readonly page: string | null;
  readonly protocols: readonly { readonly name: string; readonly router: string; readonly failure: string | null }[];
  readonly speaks: string;
  readonly externalAddress: string | null;
  readonly uptimeSec: number | null;
  readonly verdict: {
    readonly kind: "open-internet" | "public-here" | "double-nat" | "cgnat" | "blocked" | "ipv6-only" | "no-network" | "vpn";
    readonly sure: boolean;
    readonly sentence: string;
    readonly evidence: readonly string[];
    readonly advice: readonly string[];
  };
}

export type Scope = "read" | "forwards" | "all";

export interface Session {
  readonly me: Me;
  readonly pageKey: string;
  readonly expiresMs: number;
}

export interface Settings {
  readonly version: string;
  readonly bunVersion: string;
  readonly license: string;
  readonly startedMs: number;
  readonly dataDirectory: string;
  readonly dataBytes: number;
  readonly configFile: string | null;
  readonly relay: {
    readonly publicHost: string;
    readonly listen: string;
    readonly ports: string;
    readonly stun: boolean;
    readonly ownCertificate: boolean;
    readonly clientCa: boolean;
  } | null;
  readonly console: {
    readonly url: string;
    readonly listen: string;
    readonly tls: boolean;
    readonly hosts: readonly string[];
    readonly trustedProxies: readonly string[];
  };
}

export interface Setup {
  readonly needed: boolean;
}

export interface SignedInSession {
  readonly id: string;
  readonly address: string;
  readonly userAgent: string;
  readonly createdMs: number;
  readonly lastSeenMs: number;
  readonly current: boolean;
}

export interface SignIn {
  readonly name: string;
  readonly password: string;
  readonly code?: string;
}

export interface Site {
  readonly hosts: readonly string[];
  readonly tls: "end" | "pass" | "off";
  readonly http2: boolean;
  readonly users: readonly string[];
}

export interface SiteOffer {
  readonly http: number | null;
  readonly https: number | null;
  readonly domains: readonly string[];
}

export interface Ssh {
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly fingerprint: string;
    readonly knownHosts: string;
  } | null;
}

export interface SshKey {
  readonly fingerprint: string;
  readonly type: string;
  readonly comment: string;
  readonly device: { readonly id: string; readonly name: string };
  readonly account: { readonly id: string; readonly name: string };
  readonly ports: string | null;
  readonly addedMs: number;
  readonly lastUsedMs: number | null;
  readonly endsDevice: boolean;
}

export interface SshKeyDraft {
  readonly key: string;
  readonly device: string;
  readonly ports?: string;
  readonly account?: string;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdMs: number;
  readonly expiresMs: number | null;
  readonly lastUsedMs: number | null;
}

export interface TokenDraft {
  readonly name: string;
  readonly scopes: Scope[];
  readonly lifetimeSec: number | null;
}

export interface TotpConfirm {
  readonly code: string;
}

export interface TotpSetup {
  readonly secret: string;
  readonly uri: string;
}

export interface TrafficReport {
  readonly span: "hour" | "day";
  readonly slots: readonly {
    readonly slotMs: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly visitors: number;
  }[];
  readonly forwards: readonly {
    readonly id: string;
    readonly name: string;
    readonly device: { readonly id: string; readonly name: string };
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly visitors: number;
  }[];
}

export interface Trigger {
  readonly name: string;
  readonly origin: "cli" | "config";
  readonly out: string;
  readonly in: string;
  readonly timeoutSec: number;
  readonly secondHost: "refused" | "takesOver";
  readonly state: "armed" | "open";
  readonly host: string | null;
  readonly closesMs: number | null;
  readonly id: string;
  readonly removable: boolean;
}

export interface TriggerDraft {
  readonly name: string;
  readonly out: string;
  readonly in: string;
  readonly timeoutSec?: number;
  readonly secondHost?: "refused" | "takesOver";
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly account: { readonly id: string; readonly name: string };
  readonly createdMs: number;
  readonly lastSeenMs: number | null;
  readonly disabled: boolean;
  readonly hasTotp: boolean;
  readonly passkeys: number;
  readonly quota: {
    readonly ports: string | null;
    readonly maxForwards: number | null;
    readonly maxPorts: number | null;
    readonly maxDevices: number | null;
    readonly bandwidthBytesPerSec: number | null;
  };
}

export interface UserPatch {
  readonly role?: Role;
  readonly disabled?: boolean;
  readonly quota?: {
    readonly ports?: string | null;
    readonly maxForwards?: number | null;
    readonly maxPorts?: number | null;
    readonly maxDevices?: number | null;
    readonly bandwidth?: string | null;
  };
}

export interface Visit {
  readonly id: string;
  readonly forwardId: string;
  readonly forwardName: string;
  readonly device: string | null;
  readonly protocol: "tcp" | "udp";
  readonly visitor: string;
  readonly entry: string;
  readonly openedMs: number | null;
  readonly bytesIn: number | null;
  readonly bytesOut: number | null;
  readonly country?: string | null;
}

export interface Vpn {
  readonly server: VpnServer | null;
}

export interface VpnChange {
  readonly endpointHost?: string;
  readonly listenPort?: number;
  readonly network4?: string;
  readonly network6?: string;
  readonly dns?: string[];
}

export interface VpnKeys {
  readonly publicKey: string;
  readonly presharedKey: string | null;
}

export type VpnMode = "block-all" | "open-all" | "only";

export interface VpnPeer {
  readonly id: string;
  readonly name: string;
  readonly publicKey: string;
  readonly v4: string;
  readonly v6: string;
  readonly maxPorts: number | null;
  readonly createdMs: number;
  readonly expiresMs: number | null;
  readonly state: "active" | "disabled" | "expired";
  readonly endpoint: string | null;
  readonly latestHandshakeMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly forwards: number;
  readonly account: { readonly id: string; readonly name: string };
  readonly mode: VpnMode;
  readonly ports: string | null;
  readonly forwarded: boolean;
}

export interface VpnPeerDraft {
  readonly name: string;
  readonly publicKey: string;
  readonly presharedKey: string | null;
  readonly mode: VpnMode;
  readonly ports?: string;
  readonly forwarded?: boolean;
  readonly account?: string;
  readonly maxPorts?: number | null;
  readonly lifetimeSec?: number;
}

export interface VpnPeerPatch {
  readonly name?: string;
  readonly mode?: VpnMode;
  readonly ports?: string;
  readonly forwarded?: boolean;
  readonly maxPorts?: number | null;
  readonly lifetimeSec?: number | null;
  readonly disabled?: boolean;
}

export interface VpnPeerReply {
  readonly peer: VpnPeer;
  readonly server: VpnServer;
}

export interface VpnServer {
  readonly interface: string;
  readonly network4: string;
  readonly network6: string;
  readonly listenPort: number;
  readonly endpointHost: string;
  readonly dns: readonly string[];
  readonly mtu: number;
  readonly publicKey: string | null;
  readonly backend: "kernel" | "wireguard-go" | null;
  readonly message: string | null;
}

export type WebAuthnJson = Record<string, unknown>;
