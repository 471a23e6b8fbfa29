// What apps get by `import { … } from "hatchway"`: package.json names this file. It is the one place where these types
// are written; src/index.ts and what is in this folder are held to it. It needs no other types than TypeScript's own.
/// <reference lib="es2018.asynciterable" />
/// <reference lib="esnext.disposable" />

/**
 * Opens ports on the router that is already there, by PCP, NAT-PMP or UPnP-IGD, and keeps them open: leases are renewed,
 * and what a restart of the router or another network took away is asked for again.
 *
 * Resolves when every port is open. Rejects with `OpenPortError` when no way leads there (within seconds), when an option
 * makes no sense, or when the signal aborts; nothing is left at the router then. (Anything else is a fault of this
 * package.) To open several ports, name them in one call: they are asked for together.
 *
 * An open port keeps the process running, as a listening server does, until it is closed.
 *
 * @example
 * const stop = new AbortController();
 * const port = await openPort(25565, { signal: stop.signal });
 * console.log(port.endpoints[0]?.host, port.endpoints[0]?.port);
 *
 * @param ports a port, or a port set as text: `25565`, `"8810-8815,9000/udp"`, `"8443:443"` (outside:inside). 256 at most.
 */
export function openPort(ports: number | string, options?: OpenPortOptions): Promise<OpenPort>;

export interface OpenPortOptions {
  /** Its abort closes the port, at any time; before it is open, `openPort` rejects. */
  readonly signal?: AbortSignal | undefined;
  /** For ports that do not say it themselves (`9000/udp`). Default `"tcp"`. */
  readonly protocol?: "tcp" | "udp" | "tcp+udp" | undefined;
  /** The ports outside, one for one with `ports`; `"any"` = whichever are free. Default: the same as inside. */
  readonly externalPort?: number | string | undefined;
  /**
   * True: the port outside that was asked for, or none (`OpenPortError` `"conflict"`). Default false: a single port that
   * somebody else has is moved to a free one. Ranges are never moved.
   */
  readonly samePort?: boolean | undefined;
  /** The IP address of the host of this network that the router is to forward to; few routers let one host ask for another. Default: this machine. */
  readonly to?: string | undefined;
  /** IPv4 mappings, IPv6 pinholes, or both. Default `"both"`: IPv6 is opened as well where there is some. */
  readonly family?: "ipv4" | "ipv6" | "both" | undefined;
  /** The lease to ask for, in whole seconds, 30 to 604800 (a week). It is renewed at its half. Default 3600. */
  readonly lifetimeSec?: number | undefined;
  /** Ask in this protocol and in no other. `"igd"`: either version of UPnP-IGD. Default: the best that the router speaks. */
  readonly protocolOnly?: RouterProtocol | "igd" | undefined;
  /** The IP address of the router to ask. Default: the gateway of this machine's default route. */
  readonly router?: string | undefined;
  /** What the router's own list shows, behind the word Hatchway: letters, digits, spaces, `.`, `_`, `-`. Default: the ports. */
  readonly name?: string | undefined;
}

/** PCP (RFC 6887), NAT-PMP (RFC 6886), UPnP-IGD 2 and 1. */
export type RouterProtocol = "pcp" | "nat-pmp" | "igd2" | "igd1";

/** Ports that are kept open at the router. What it tells is as of now. */
export interface OpenPort extends AsyncDisposable {
  /** lost: the router has them no more, and is asked again until it has; `note` says why. closed: by you. */
  readonly state: "open" | "lost" | "closed";
  /** Where visitors come to, and where that leads. Empty unless `state` is `"open"`. */
  readonly endpoints: readonly Endpoint[];
  /** The router that has them, or had them last. */
  readonly router: Router;
  /** When the router forgets them unless they are renewed; null = never, or they are not open. */
  readonly leaseEnds: Date | null;
  /** Why visitors may not come in, or come elsewhere than was asked for; null = all is well. */
  readonly note: Note | null;
  /**
   * What happens from now on, until the port is closed, for `for await`. Each call reads for itself. Who reads slowly gets
   * the last 64 events. Throws only what is a fault of this package, after which nothing is kept.
   */
  events(): AsyncGenerator<PortEvent, void, undefined>;
  /**
   * Takes the ports away. Resolves when the router has answered, within 3 s at most: what a silent router then still has
   * ends with its lease. May be called at any time, again too; never rejects.
   */
  close(): Promise<void>;
}

/** A port, or a range of them: visitors of `port + n` reach `internalPort + n`, up to `lastPort`. */
export interface Endpoint {
  readonly protocol: "tcp" | "udp";
  readonly family: "ipv4" | "ipv6";
  /** The address for visitors; null = the router does not tell. */
  readonly host: string | null;
  readonly port: number;
  /** The same as `port` where it is one port. */
  readonly lastPort: number;
  /** Whom the router forwards to: by IPv6, where nothing is translated, the same as `host`. */
  readonly internalHost: string;
  readonly internalPort: number;
}

export interface Router {
  /** In which it was asked. */
  readonly protocol: RouterProtocol;
  readonly address: string;
  /** What it calls itself; null = it does not say (PCP and NAT-PMP have no way to). */
  readonly model: string | null;
}

/**
 * lost: what any of `OpenPortError`'s kinds means. not-public: the router's own address is not one of the internet
 * (another router or the provider's NAT is before it), so nobody there reaches it. address-untold: the router does not tell
 * its address. other-port: the port asked for is somebody else's. ipv6-only: IPv4 is not open.
 */
export interface Note {
  readonly kind: "lost" | "not-public" | "address-untold" | "other-port" | "ipv6-only";
  /** One sentence for a person. */
  readonly message: string;
}

export type PortEvent =
  /** The lease goes on, and nothing else changed. */
  | { readonly type: "renewed"; readonly leaseEnds: Date | null }
  /** Visitors must come to other addresses or ports than `before`, or `note` is another one. */
  | { readonly type: "changed"; readonly endpoints: readonly Endpoint[]; readonly before: readonly Endpoint[] }
  /** Not open any more; it goes on being asked for. `message`: one sentence. */
  | { readonly type: "lost"; readonly kind: RouterFailureKind; readonly message: string }
  /** Open again after `lost`; `before`: where it was then, most often the same. */
  | { readonly type: "reopened"; readonly endpoints: readonly Endpoint[]; readonly before: readonly Endpoint[] };

/**
 * What a router, or the want of one, can be in the way with. silent: no answer in time. closed: nothing listens there.
 * unsupported: it speaks, but not this. conflict: the port is somebody else's. refused: its rules say no. exhausted: no room
 * for more. no-uplink: it has no address outside, or this machine no router. garbled: its answer makes no sense.
 */
export type RouterFailureKind =
  | "silent"
  | "closed"
  | "unsupported"
  | "conflict"
  | "refused"
  | "exhausted"
  | "no-uplink"
  | "garbled";

/** Why a port could not be opened. `message` is one sentence that says what to do. */
export class OpenPortError extends Error {
  constructor(kind: OpenPortError["kind"], message: string, options?: { readonly cause?: unknown });
  readonly name: "OpenPortError";
  /** usage: the ports or an option make no sense. aborted: by the signal, whose reason is `cause`. */
  readonly kind: RouterFailureKind | "usage" | "aborted";
}
