import type { Cidr } from "../wire/address.ts";
import type { HostPort } from "../wire/endpoint.ts";
import type { PortMapping, PortSet } from "../wire/port-set.ts";
import type { RouterProtocol } from "./router/model.ts";

/** Where the exit of a local or dynamic forward is. `here` = this process dials (direct). */
export type Via =
  | { readonly kind: "here" }
  | { readonly kind: "relay" }
  | { readonly kind: "agent"; readonly device: string };

/** `relay`, `agent:NAME`, as people write it; null = neither. */
export function parseVia(text: string): Exclude<Via, { kind: "here" }> | null {
  if (text === "relay") return { kind: "relay" };
  const device = /^agent:(\S.{0,254})$/.exec(text)?.[1];
  return device === undefined ? null : { kind: "agent", device };
}

export type ProxyProtocolVersion = "v1" | "v2";

/** Absent = no limit. */
export interface Limits {
  /** Connections and flows open at once on the forward. */
  readonly connections?: number;
  /** The same, for one source address (IPv6: its /64). */
  readonly connectionsPerSource?: number;
  /** New connections and flows a second for one source; bursts of up to twice that. */
  readonly newPerSourcePerSec?: number;
  /** Bytes a second through the forward, both directions together. */
  readonly bandwidthBytesPerSec?: number;
}

export interface SourceRules {
  /** Empty = every source. Deny wins over allow. */
  readonly allow: readonly Cidr[];
  readonly deny: readonly Cidr[];
}

export interface HealthCheck {
  readonly intervalSec: number;
  readonly timeoutSec: number;
  /** Consecutive failures that make the service unhealthy. */
  readonly failures: number;
}

/** What one forward does with the visits it admits. The same shape for every type. */
export interface ForwardOptions {
  readonly source: SourceRules;
  readonly limits: Limits;
  readonly proxyProtocol: ProxyProtocolVersion | null;
  /** A TCP visit ends after this long without a byte either way; null = never (TCP keep-alive still finds dead peers). */
  readonly tcpIdleSec: number | null;
  /** After a half-close; traffic refreshes it. */
  readonly halfCloseIdleSec: number;
  /** RFC 4787 REQ-5: 120 s unless told otherwise. */
  readonly udpIdleSec: number;
  readonly healthCheck: HealthCheck | null;
}

export const DEFAULT_OPTIONS: ForwardOptions = {
  source: { allow: [], deny: [] },
  limits: {},
  proxyProtocol: null,
  tcpIdleSec: null,
  halfCloseIdleSec: 300,
  udpIdleSec: 120,
  healthCheck: null,
};

/** Whoever may see a site: its password is known by its hash alone. */
export interface SiteLogin {
  readonly user: string;
  /** PHC string of argon2id. */
  readonly hash: string;
}

/** A forward that is reached by name at the relay's ports for HTTP and TLS, and has no port of its own there. */
export interface SiteSpec {
  /** In canonical form (wire/site-name.ts): `app.example.org`, or `*.example.org` for what has one label more. */
  readonly hosts: readonly string[];
  /** `off`: plain HTTP. `end`: the relay ends TLS, with a certificate of its own. `pass`: the service has TLS, and the relay reads none of it. */
  readonly tls: "off" | "end" | "pass";
  /** What the service speaks when the relay ends TLS: HTTP/1.1, or HTTP/2 without TLS (gRPC). */
  readonly service: "http1" | "h2c";
  /** Asked of visitors by HTTP's basic authentication; empty = everybody. Not with `pass`. */
  readonly logins: readonly SiteLogin[];
}

/** How a forward came to be: shown in lists, and what may change it. */
export type Origin = "cli" | "config" | "api" | MappingOrigin;
/** Asked for by a client of the gateway, through a mapping protocol. */
export type MappingOrigin = "natpmp" | "pcp" | "igd";

/** What any forward says of the entry ports that it holds: all that the forward table needs to know. */
export interface EntrySpec {
  /** Stable and unique on the device. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Forwards of one account with the same group and external ports share them; null = with nobody. */
  readonly group: string | null;
  /** external:internal with the protocol settled: one forward, however many ports it spans. */
  readonly ports: readonly PortMapping[];
  /** Seconds; null = permanent. */
  readonly lifetimeSec: number | null;
  /** By name instead of by ports: `ports` is the one that it is reached by, which it shares with others. */
  readonly site?: SiteSpec;
}

/**
 * A remote forward as an agent asks for it (the relay adds owner, device, lease and decides the endpoints).
 * Its id is what a reconnecting agent takes back; its lifetime counts while the device is away.
 */
export interface RemoteSpec extends EntrySpec {
  readonly options: ForwardOptions;
  readonly enabled: boolean;
}

/** A forward whose entry is on this machine: local (via relay or agent), dynamic (SOCKS/HTTP CONNECT) or direct. */
export interface LocalSpec {
  readonly id: string;
  readonly name: string;
  readonly type: "local" | "dynamic" | "direct";
  /** The address the entry listens on: an IP literal, or `*` for every address. */
  readonly bind: string;
  /** Entry ports, external:internal (internal = the port at `to`). Dynamic: one tcp port. */
  readonly ports: readonly PortMapping[];
  /** Absent for dynamic. */
  readonly to: string | null;
  readonly via: Via;
  /** Dynamic only: required credentials, if any. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  readonly options: ForwardOptions;
  readonly enabled: boolean;
}

/**
 * An upstream mapping: ports that the router above this machine is asked to send here, or to another host of its
 * network. Each port is a mapping of its own there.
 */
export interface UpstreamSpec {
  readonly id: string;
  readonly name: string;
  /** external:internal; external 0 = whichever the router likes. IPv6 has no external ports: its pinholes are at the internal ones. */
  readonly ports: readonly PortMapping[];
  /** The host that the router forwards to, an IP literal; null = this machine. */
  readonly to: string | null;
  readonly families: "both" | "ipv4" | "ipv6";
  /** The one protocol to ask in (`igd`: either version); null = the best that the router speaks. */
  readonly only: RouterProtocol | "igd" | null;
  /** The router to ask, an IP literal; null = this machine's default gateway. */
  readonly gateway: string | null;
  /** True: these external ports or none. Ranges are so always. */
  readonly samePort: boolean;
  /** What the router is asked for each time; it is renewed for as long as it is wanted. */
  readonly lifetimeSec: number;
  readonly enabled: boolean;
}

/**
 * One forward as a person asks an agent for it. A remote forward goes to the relay as `remote`; `to` (a host name or
 * an IP literal) is where this agent dials, and the relay never learns it.
 */
export type ForwardSpec = RemoteForwardSpec | LocalForwardSpec | UpstreamForwardSpec;
export interface RemoteForwardSpec {
  readonly kind: "remote";
  readonly remote: RemoteSpec;
  readonly to: string;
}
export interface LocalForwardSpec {
  readonly kind: "local";
  readonly local: LocalSpec;
}
export interface UpstreamForwardSpec {
  readonly kind: "upstream";
  readonly upstream: UpstreamSpec;
}

/** What every kind of forward says of itself. */
export function partOf(spec: ForwardSpec): RemoteSpec | LocalSpec | UpstreamSpec {
  switch (spec.kind) {
    case "remote":
      return spec.remote;
    case "local":
      return spec.local;
    case "upstream":
      return spec.upstream;
    default:
      return spec satisfies never;
  }
}

export type { HostPort, PortMapping, PortSet };
