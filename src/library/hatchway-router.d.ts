// Ports at the router, as apps see them (hatchway.d.ts).
/// <reference lib="es2018.asynciterable" />
/// <reference lib="esnext.disposable" />

import type { RouterFailureKind } from "./hatchway-errors.d.ts";

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
