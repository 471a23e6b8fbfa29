import type { Finding, Section } from "../core/doctor/model.ts";
import type { ExitRule } from "../core/exit-rule.ts";
import type { HostPort, PortMapping, RemoteForwardSpec, UpstreamForwardSpec } from "../core/forward.ts";
import type { DomainGrant } from "../core/names/policy.ts";
import type { EntryPorts } from "../core/table.ts";
import type { Way } from "../core/way.ts";
import type { LogFormat } from "../os/log.ts";
import type {
  AgentControl,
  AttachEvent,
  ForwardSpec,
  GatewayControl,
  GatewayStatus,
  PingEvent,
  PingRequest,
  RelayControl,
} from "../servers/local/control.ts";
import type { ChallengeType } from "../wire/acme/messages.ts";
import type { Cidr } from "../wire/address.ts";
import type { backUp, restore } from "./backup/command.ts";
import type { CheckMeans } from "./check/means.ts";
import type { GatewayBeside } from "./console/beside.ts";
import type { AcmeSettings, CertificateFiles, ConsoleSettings } from "./console/section.ts";
import type { GatewaySettings } from "./gateway/settings.ts";
import type { MetricSource } from "./metrics/page.ts";
import type { MetricsSettings } from "./metrics/settings.ts";
import type { RouterReport } from "./router/report.ts";

export * from "../servers/local/control.ts";
export type { AcmeSettings, CertificateFiles, ConsoleSettings } from "./console/section.ts";

export type { ExitRule, RemoteForwardSpec, RouterReport, UpstreamForwardSpec };

/** `[relay]` of hatchway.toml with the command's flags laid over it. */
export interface RelaySettings {
  /** The agent port. Port 0 asks for any free one (tests). */
  readonly listen: HostPort;
  /** What visitors type; null = the address that agents reach the relay by. */
  readonly publicHost: string | null;
  /** The pool of public ports. */
  readonly ports: readonly PortMapping[];
  /** What local and dynamic forwards `via = "relay"` may reach from the relay. Empty = nothing. */
  readonly allow: readonly ExitRule[];
  /** The operator's own certificate, verified by agents like a web site's; null = one of our making, pinned by join codes. */
  readonly certificate: CertificateFiles | null;
  /** Path of the CA that agents' certificates must come from, beside their device keys; null = they need none. */
  readonly clientCa: string | null;
  /** Answer STUN on UDP, at the number of the agent port and at the next one. */
  readonly stun: boolean;
  /** Load balancers before the public ports, the agent port and the SSH port, whose PROXY protocol header is asked for and believed. Empty = none. */
  readonly proxyProtocolFrom: readonly Cidr[];
  readonly check: CheckSettings;
  /** Null = no console. */
  readonly console: ConsoleSettings | null;
  /** Null = no listener for scrapes; the console's has the page in any case. */
  readonly metrics: MetricsSettings | null;
  /** How long connections of before an upgrade in place may go on; absent = an hour. */
  readonly upgradeDrainSec?: number;
  /** Absent = the relay hands out no names. */
  readonly names?: NamesSettings;
  /** Absent = SSH clients are not served. */
  readonly ssh?: SshSettings;
}

/** `[names]`: sites on the relay's ports for HTTP and TLS, told apart by name. */
export interface NamesSettings {
  /** Null = no such port. Port 0 asks for any free one (tests). */
  readonly http: HostPort | null;
  readonly https: HostPort | null;
  /** Which names any account may have: names, and `*.example.org` for all below. */
  readonly domains: readonly string[];
  /** Domains of one account alone. */
  readonly grants: readonly DomainGrant[];
  /** Of some of the names, to end TLS with; null = none. */
  readonly certificate: CertificateFiles | null;
  /** Where certificates of the other names are ordered; null = nowhere. */
  readonly acme: NamesAcmeSettings | null;
}

export interface NamesAcmeSettings extends Omit<AcmeSettings, "hosts" | "listen"> {
  /** How names are proven; null = by the ports that there are. */
  readonly challenge: ChallengeType | null;
}

/** `[ssh]`: OpenSSH and others connect without an agent. */
export interface SshSettings {
  readonly listen: HostPort;
  /** Path of the public keys of the CAs whose certificates are believed; null = none. */
  readonly trustedUserCa: string | null;
  /** Path of the directory where clients may have socket files; null = they may not. */
  readonly sockets: string | null;
}

/** `[check]`: the relay looks at its askers' ports from outside. */
export interface CheckSettings {
  /** The page; null = there is none, and only devices ask. */
  readonly listen: HostPort | null;
  /** Names, in lower case, by which visitors may call the page, besides the relay's public name and addresses. */
  readonly hosts: readonly string[];
  /** Askers with a private address may have that address checked. */
  readonly private: boolean;
  /** Reverse proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Cidr[];
}

/** `[agent]`, `[[expose]]`, `[[forward]]` and `[[socks]]`. */
export interface AgentSettings {
  /** Null = the name that the join code carries. */
  readonly name: string | null;
  /** Overrides the relay's address of the join code (same certificate); null = as enrolled. */
  readonly relay: HostPort | null;
  /** What this agent may be the exit for, beside its own machine's services and what its forwards name. */
  readonly allow: readonly ExitRule[];
  /** People at the relay may choose forwards of this machine, within `allow`; null = as the agent was told last. */
  readonly managed: boolean | null;
  /** Shown to a relay that has a client CA. */
  readonly certificate: CertificateFiles | null;
  /** Path of the CA that vouches for a relay's own certificate; null = the system's CAs. */
  readonly ca: string | null;
  readonly forwards: readonly ForwardSpec[];
}

export interface StartRelayOptions {
  readonly dataDir: string;
  /** Called once at start and at every reload. Rejects with ControlError `usage` (the reload then changes nothing). */
  readonly readSettings: () => Promise<RelaySettings>;
  /** Where they are read from, for people; absent = there is no file. */
  readonly configFile?: string | null;
  /** Takes over from the relay that runs on this data directory, in place of refusing to start beside it. */
  readonly takeOver?: boolean;
  /** Absent: this relay is not upgraded in place by itself. */
  readonly startSuccessor?: StartSuccessor;
  /** The process `pid` is the relay from now on, and this one to end when its streams have. Never rejects. */
  readonly handedOver?: (pid: number) => Promise<void>;
  /** Shared with a gateway of this process; absent = the relay's own. */
  readonly ports?: EntryPorts;
  /** What that gateway tells scrapes of this process. */
  readonly gatewayMetrics?: MetricSource;
  /** What that gateway gives to the console. */
  readonly gatewayBeside?: () => Promise<GatewayBeside>;
}

/** Starts `program` with the arguments of this process, to take over from it. Throws the system's error. */
export type StartSuccessor = (program: readonly string[]) => { readonly exited: Promise<number>; kill(): void };

export interface RelayReady {
  readonly listen: HostPort;
  readonly publicHost: string;
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string;
  /** Null = there is none. */
  readonly console: ConsoleReady | null;
  /** The port that answers scrapes; null = none of its own. */
  readonly metricsPort: number | null;
  /** Absent = SSH clients are not served. */
  readonly ssh?: SshReady;
}

export interface SshReady {
  readonly listen: HostPort;
  /** As known_hosts has it: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  readonly fingerprint: string;
}

/** Where a console is. `setupLink`: good once, while there is no administrator; null = there is one. */
export interface ConsoleReady {
  readonly url: string;
  readonly setupLink: string | null;
}

export interface Running {
  /** Settles when everything is closed; rejects with a ControlError when the process cannot go on. */
  readonly closed: Promise<void>;
  /** Refuses new visitors, lets the open ones end within `drainMs`, then closes all. Calling it again cuts the drain short. */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/** `startRelay` resolves with it when every listener and the local socket are open. */
export interface RunningRelay extends RelayControl, Running {
  readonly ready: RelayReady;
}

export interface StartAgentOptions {
  readonly dataDir: string;
  /** A join code for the first start; null = the identity in `dataDir` (absent there: ControlError `usage`). */
  readonly joinCode: string | null;
  readonly readSettings: () => Promise<AgentSettings>;
  /**
   * What `hatchway.toml` and `forward add` list is run (`agent`), or only what is attached (`expose` and `connect`
   * without a running agent).
   */
  readonly runListed: boolean;
  /** See AgentSettings; it is remembered. Absent = as before. */
  readonly managed?: boolean;
  /** True: connects to no relay, and opens what needs none. */
  readonly withoutRelay?: boolean;
  /** What a check asks of this machine's router; absent = the real one is asked. */
  readonly routerEvidence?: CheckMeans["routerEvidence"];
}

/** What happens to an agent's link to its relay. */
export type LinkEvent =
  | {
      readonly event: "connected";
      readonly relay: HostPort;
      readonly name: string;
      readonly deviceId: string;
      readonly carriers: number;
      readonly rttMs: number | null;
    }
  | {
      readonly event: "disconnected";
      readonly message: string;
      readonly retryInMs: number | null;
    }
  /** The relay does not accept this device (revoked, expired, unknown): `closed` rejects with `refused`. */
  | { readonly event: "rejected"; readonly message: string };

/**
 * `startAgent` resolves with it when the agent is enrolled and its local socket is open; it connects, and connects
 * again, by itself. Rejects with ControlError: `usage` (no identity and no code, already running), `refused` (code),
 * `unreachable` (the relay does not answer while enrolling).
 */
export interface RunningAgent extends AgentControl, Running {
  /** Starts with the present state; ends on abort and when the agent stops. */
  link(signal: AbortSignal): AsyncIterable<LinkEvent>;
}

export interface StartGatewayOptions {
  readonly dataDir: string;
  /** Called once at start and at every reload. Rejects with ControlError `usage` (the reload then changes nothing). */
  readonly readSettings: () => Promise<GatewaySettings>;
  /** Of the helper's log; this process has its own already. Absent = human. */
  readonly logFormat?: LogFormat;
  /** Of the command, for the console to tell; absent = there is none. */
  readonly configFile?: string | null;
  /** Of a relay that this process is as well: what each holds the other does not give away. Absent = there is none. */
  readonly relayPorts?: EntryPorts;
}

export interface GatewayReady extends Pick<GatewayStatus, "wan" | "lan" | "externalAddress" | "servers" | "warnings"> {
  /** Null = there is none. */
  readonly console: ConsoleReady | null;
}

/** `startGateway` resolves with it when the kernel forwards and the servers listen. */
export interface RunningGateway extends Omit<GatewayControl, "stop">, Pick<Running, "closed"> {
  readonly ready: GatewayReady;
  /** For whoever answers scrapes of this process. */
  readonly metrics: MetricSource;
  /** For the console of a relay in this process. */
  readonly beside: () => Promise<GatewayBeside>;
  /** `clean`: see GatewayControl. The kernel's connections are not this process's, so there is nothing to drain. */
  stop(options?: { readonly clean?: boolean; readonly drainMs?: number }): Promise<void>;
}

export type StartGateway = (options: StartGatewayOptions) => Promise<RunningGateway>;
/** Asks this machine's router, and whoever sees it from outside, all that they tell. `stunServer` null = nobody is asked. */
export type InspectRouter = (options: {
  readonly stunServer: HostPort | null;
  /** Null = the gateways of the default routes. */
  readonly router: string | null;
  /** The STUN server is asked for `nat`, too: 9 s at most, where the rest takes some 3. Absent = it is not. */
  readonly behaviour?: boolean;
  readonly signal: AbortSignal;
}) => Promise<RouterReport>;
export type StartRelay = (options: StartRelayOptions) => Promise<RunningRelay>;
export type StartAgent = (options: StartAgentOptions) => Promise<RunningAgent>;
/** `AgentControl.ping` for what needs no agent: the direct path to a host, and the one through a SOCKS5 proxy. */
export type StartPing = (request: PingRequest, signal: AbortSignal) => AsyncIterable<PingEvent>;
/** Which way ports are opened by, where the program chooses (`expose --via auto`). */
export interface WayEvent {
  readonly event: "way";
  readonly v: 1;
  readonly via: Way;
  /** trying: it is being asked. left: it does not do, and `message` says why. taken: the forward that follows is by it. */
  readonly state: "trying" | "left" | "taken";
  /** One sentence. */
  readonly message: string;
}
/** What a foreground command that exposes ports hears. */
export type ExposeEvent = AttachEvent | WayEvent;
export interface ExposeByBestWayOptions {
  /** What this machine's router, or the gateway of its VPN, is asked for; a sentence = why neither can be asked. */
  readonly upstream: UpstreamForwardSpec | string;
  readonly remote: RemoteForwardSpec;
  /** With a relay: it sees from outside whether the router's port is reached. */
  readonly agent: AgentControl;
  /** Tells this machine's address outside: the relay. */
  readonly stunServer: HostPort | null;
}
/**
 * Opens the ports by the cheapest way that a check proves to work: the router, else the relay. Until `signal` aborts, as
 * `AgentControl.attach` does.
 */
export type ExposeByBestWay = (options: ExposeByBestWayOptions, signal: AbortSignal) => AsyncIterable<ExposeEvent>;
/** The gateway of the VPN that this machine is in, as far as that can be guessed; null = it cannot. */
export type FindVpnGateway = (signal: AbortSignal) => Promise<string | null>;
/** Direct forwards and upstream mappings, without an agent or a data directory. The same events as `AgentControl.attach`. */
export type StartStandalone = (specs: readonly ForwardSpec[], signal: AbortSignal) => AsyncIterable<AttachEvent>;

/** Of `Doctor.examine`. */
export type DoctorEvent =
  /** `doing`: what is said while it runs. */
  | { readonly kind: "checking"; readonly section: Section; readonly doing: string }
  | { readonly kind: "found"; readonly finding: Finding };

export interface OpenDoctorOptions {
  readonly dataDir: string;
  readonly configPath: string;
  /** A person named the config file: it must be there. */
  readonly isConfigNamed: boolean;
  /** The data directory of the system's services, when `dataDir` is another one: it may be the one that is meant. */
  readonly systemDir: string | null;
  /** Effective user 0. */
  readonly isRoot: boolean;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
}

/** Looks at this machine, and changes nothing. */
export interface Doctor {
  /** Every check in order, each within its own time. Ends quietly on abort. */
  examine(): AsyncIterable<DoctorEvent>;
  /** A report for who is to help: what was found and what it was found in, without secrets, addresses and names. */
  report(findings: readonly Finding[], format: "text" | "json"): Promise<string>;
}
/** What `hatchway backup` and `restore` do. */
export interface Backups {
  readonly backUp: typeof backUp;
  readonly restore: typeof restore;
}
export type { OpenServices } from "./service/control.ts";
export type OpenDoctor = (options: OpenDoctorOptions) => Doctor;
