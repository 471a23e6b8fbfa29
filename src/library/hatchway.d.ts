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

/**
 * What this package rejects with. `message` is one sentence that says what to do. usage: an option makes no sense.
 * aborted: by the signal, whose reason is `cause`.
 */
export class HatchwayError extends Error {
  constructor(kind: HatchwayError["kind"], message: string, options?: { readonly cause?: unknown });
  readonly name: string;
  readonly kind: RouterFailureKind | RelayFailureKind | "usage" | "aborted";
}

/** Why a port could not be opened at the router. */
export class OpenPortError extends HatchwayError {
  constructor(kind: OpenPortError["kind"], message: string, options?: { readonly cause?: unknown });
  readonly name: "OpenPortError";
  readonly kind: RouterFailureKind | "usage" | "aborted";
}

/**
 * What a relay, or what is behind it, can be in the way with. unreachable: no route, or no relay that answers. untrusted:
 * somebody else may have answered in the relay's place. denied: the relay does not take this device or join code. away: the
 * device to go out at is not connected. not-found: the host's name does not resolve. reset: the other side cut the connection.
 * lost: the connection to the relay broke. ended: somebody, or a time limit, ended it. Beside them, of `RouterFailureKind`,
 * closed: nothing listens there; silent: no answer in time; refused: a rule says no, or it cannot be; conflict: the port is
 * somebody else's; exhausted: a limit is reached.
 */
export type RelayFailureKind =
  | "unreachable"
  | "untrusted"
  | "denied"
  | "away"
  | "not-found"
  | "reset"
  | "lost"
  | "ended"
  | "silent"
  | "closed"
  | "conflict"
  | "refused"
  | "exhausted"
  | "garbled";

/**
 * Makes this app a device of a relay: `joinCode` is what `hatchway join-code create` or the console gave, good for one
 * device. The app keeps `key` as it keeps a password; with it, it opens ports and connections from then on.
 *
 * @example
 * const { key } = await enrol({ joinCode });
 * await writeFile("relay.key", key, { mode: 0o600 });
 */
export function enrol(options: EnrolOptions): Promise<Device>;

export interface EnrolOptions {
  readonly joinCode: string;
  /** PEM of the CA of a relay that has a certificate of its own. Default: the system's. */
  readonly ca?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Who an app is at a relay. */
export interface Device {
  /** The device's private key and how to know its relay again, in one text. Whoever has it is this device. */
  readonly key: string;
  /** HOST:PORT. */
  readonly relay: string;
  /** How people at the relay call it. */
  readonly name: string;
  /** What lists and logs show: it proves nothing. */
  readonly id: string;
}

/**
 * The device of an agent's data directory (`hatchway agent --data`), for an app that takes that agent's place. Not beside the
 * agent: one device has one connection, and two programs would take it from each other.
 */
export function deviceOf(dataDirectory: string): Promise<Device>;

/** As which device, and at which relay. */
export interface RelayOptions {
  /** What `enrol` gave. */
  readonly key: string;
  /** HOST:PORT, where the relay moved since the device enrolled. Its certificate is the same, or nothing is sent. */
  readonly relay?: string | undefined;
  /** PEM of the CA of a relay that has a certificate of its own. Default: the system's. */
  readonly ca?: string | undefined;
  /** Its abort closes what was opened with it, at any time; before it is open, the call rejects. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens public ports at a relay, and hands each visitor to `onSocket`, in this process: no program beside it, no port of this
 * machine. Without a function the visitors are led to a service (`to`, and the ports' inside numbers).
 *
 * Resolves when every port is open. Rejects with `HatchwayError` when the relay cannot be reached or refuses. Afterwards it is
 * kept: when the connection to the relay is lost it is made again, and the ports stay the same.
 *
 * One key has one connection at a time. For several calls with the same key, see `openRelay`.
 *
 * @example
 * const server = await expose({ key, ports: "25565" }, (socket) => socket.pipe(socket));
 * console.log(server.endpoints[0]?.host, server.endpoints[0]?.port);
 */
export function expose(options: RelayOptions & ExposeOptions, onVisitor?: OnSocket | VisitorHandlers): Promise<Exposed>;

/**
 * Connects to a host and port through the relay, or through another device of the account (`via`). Resolves when the other side
 * has answered.
 */
export function connect(options: RelayOptions & ConnectOptions): Promise<TunnelSocket>;

/** Opens a port of this machine that leads to `to`, through the relay or another device. */
export function listen(options: RelayOptions & ListenOptions): Promise<Listening>;

/** Opens a SOCKS and HTTP CONNECT port of this machine, whose connections leave at the relay or another device. */
export function socks(options: RelayOptions & SocksOptions): Promise<Listening>;

/** One connection to a relay, for several ports and connections. It is kept until it is closed. */
export function openRelay(options: RelayOptions): Promise<Relay>;

export interface Relay extends AsyncDisposable {
  /** down: it is connected again as soon as the relay can be reached. closed: by you, or by the relay (`error`). */
  readonly state: "up" | "down" | "closed";
  /** Why it is down, or was closed by the relay; null = all is well, or you closed it. */
  readonly error: HatchwayError | null;
  /** HOST:PORT. */
  readonly address: string;
  readonly device: Pick<Device, "name" | "id">;
  expose(options: ExposeOptions & Abortable, onVisitor?: OnSocket | VisitorHandlers): Promise<Exposed>;
  connect(options: ConnectOptions & Abortable): Promise<TunnelSocket>;
  listen(options: ListenOptions & Abortable): Promise<Listening>;
  socks(options: SocksOptions & Abortable): Promise<Listening>;
  /**
   * What happens from now on, until it is closed, for `for await`. Who reads slowly gets the last 64 events. Throws
   * `HatchwayError` when the relay closes it: then it does not take the device any more.
   */
  events(): AsyncGenerator<RelayEvent, void, undefined>;
  /** Closes everything that was opened by it, and the connection. May be called again; never rejects. */
  close(): Promise<void>;
}

export type RelayEvent =
  | { readonly type: "up" }
  | { readonly type: "down"; readonly kind: RelayFailureKind; readonly message: string };

export interface Abortable {
  /** Its abort closes what was opened with it, at any time; before it is open, the call rejects. */
  readonly signal?: AbortSignal | undefined;
}

/** Called once for each TCP visitor. What it throws or rejects with ends that visitor's connection, and is uncaught. */
export type OnSocket = (socket: TunnelSocket) => unknown;

export interface VisitorHandlers {
  /** Each TCP connection; without it they are refused. */
  readonly socket?: OnSocket | undefined;
  /** Each UDP flow: the datagrams of one visitor's port; without it they are dropped. */
  readonly flow?: ((flow: TunnelFlow) => unknown) | undefined;
}

/** What every entry does with its visitors. */
export interface EntryOptions {
  /** For lists; unique among what the device opens. */
  readonly name?: string | undefined;
  /** Only these sources may come in (`"192.0.2.0/24"`, `"2001:db8::7"`); empty = all. */
  readonly allow?: readonly string[] | undefined;
  /** These may not; it wins over `allow`. */
  readonly deny?: readonly string[] | undefined;
  /** Connections and flows open at once. */
  readonly connections?: number | undefined;
  /** The same, for one source address (IPv6: its /64). */
  readonly connectionsPerSource?: number | undefined;
  /** New ones a second from one source; bursts up to twice that. */
  readonly newPerSource?: number | undefined;
  /** Both directions together: `"10 MB/s"` (bytes) or `"100 Mbit/s"` (bits). */
  readonly bandwidth?: string | undefined;
  /** A TCP connection ends after this many seconds without a byte. Default: never. */
  readonly idleSec?: number | undefined;
  /** A UDP flow ends after this many seconds without a datagram. Default 120. */
  readonly udpIdleSec?: number | undefined;
}

export interface ExposeOptions extends EntryOptions {
  /** A port, or a port set as text: `25565`, `"8810-8815,9000/udp"`, `"8443:443"` (outside:inside). */
  readonly ports: number | string;
  /** For ports that do not say it themselves (`9000/udp`). Default `"tcp"`. */
  readonly protocol?: "tcp" | "udp" | "tcp+udp" | undefined;
  /** The ports outside, one for one with `ports`; `"any"` = whichever are free. Default: the same as inside. */
  readonly externalPort?: number | string | undefined;
  /** Without a function for visitors: the host of the service. Default `"127.0.0.1"`. */
  readonly to?: string | undefined;
  /** Devices of the account with the same group share the ports, and their visitors. */
  readonly group?: string | undefined;
  /** How many seconds the ports stay reserved while the app is away; `null` = for good. Default 600. */
  readonly lifetimeSec?: number | null | undefined;
  /** With `to`: tell the service who the visitor is, by HAProxy's PROXY protocol. */
  readonly proxyProtocol?: "v1" | "v2" | undefined;
  /** With `to`: connect to the service every so many seconds (`true`: 10); visitors are refused while it is down. */
  readonly healthCheck?: boolean | number | undefined;
}

/** Public ports that are kept. What it tells is as of now. */
export interface Exposed extends AsyncDisposable {
  /** lost: the relay is away, or does not give them back yet; `error` says why. closed: by you, or by the relay. */
  readonly state: "open" | "lost" | "closed";
  /** Why it is lost, or was closed by the relay; null = all is well, or you closed it. */
  readonly error: HatchwayError | null;
  /** Where visitors come to. Empty unless `state` is `"open"`. */
  readonly endpoints: readonly PublicEndpoint[];
  /** Connections and flows that are open now. */
  readonly visitors: number;
  /**
   * What happens from now on, until it is closed, for `for await`. Who reads slowly gets the last 64 events. Throws
   * `HatchwayError` when the relay closes it.
   */
  events(): AsyncGenerator<ExposedEvent, void, undefined>;
  /** Cuts its connections and gives the ports back. May be called at any time, again too; never rejects. */
  close(): Promise<void>;
}

/** A public port, or a range of them. */
export interface PublicEndpoint {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  /** The same as `port` where it is one port. */
  readonly lastPort: number;
  readonly internalPort: number;
}

export type ExposedEvent =
  | { readonly type: "lost"; readonly kind: RelayFailureKind; readonly message: string }
  /** Open again after `lost`; `before`: where it was then, the same as long as its lifetime has not passed. */
  | {
      readonly type: "reopened";
      readonly endpoints: readonly PublicEndpoint[];
      readonly before: readonly PublicEndpoint[];
    };

/** `"relay"`, or `"agent:NAME"`: another device of the account, as far as its own rules let it. */
export type Via = "relay" | `agent:${string}`;

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Where the connection leaves. Default `"relay"`. */
  readonly via?: Via | undefined;
}

export interface ListenOptions extends EntryOptions {
  /**
   * `8080`, `"127.0.0.1:8810-8815"`, `"53/udp"`, `"*:80"`; 0 = any free one, of one number for TCP and UDP. Without an
   * address it is for this machine alone.
   */
  readonly port: number | string;
  /** `"db:5432"`; without a port, the same as the port's. */
  readonly to: string;
  readonly protocol?: "tcp" | "udp" | "tcp+udp" | undefined;
  /** Where the connections leave. Default `"relay"`. */
  readonly via?: Via | undefined;
}

export interface SocksOptions extends EntryOptions {
  /** `1080`, `"127.0.0.1:1080"`; 0 = any free one. Without an address it is for this machine alone. */
  readonly port: number | string;
  /** Where the connections leave. Default `"relay"`. */
  readonly via?: Via | undefined;
  /** Asked of every client, with `password`. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** A port of this machine. */
export interface Listening extends AsyncDisposable {
  readonly state: "open" | "closed";
  /** The address it listens on; `*` = every one. */
  readonly host: string;
  /** The first, where there are several. */
  readonly port: number;
  readonly lastPort: number;
  /** Connections and flows that are open now. */
  readonly visitors: number;
  /** Cuts its connections and stops to listen. May be called at any time, again too; never rejects. */
  close(): Promise<void>;
}

declare global {
  // With Node's or Bun's types it is their stream; without any, only what is written here is known of it.
  namespace NodeJS {
    interface ReadWriteStream {}
  }
}

/**
 * A TCP connection through the tunnel: a Duplex of node:stream, on Node and on Bun. It half-closes as a socket with
 * `allowHalfOpen` does: end it when the other side has ended. An `error` that nobody listens for ends no program.
 */
export interface TunnelSocket extends NodeJS.ReadWriteStream {
  /** Of an exposed port: the visitor. Of `connect`: the host that was asked for. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Of an exposed port: the relay's address and the public port that the visitor came to. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly destroyed: boolean;
  /** Cuts the connection, both ways at once. */
  destroy(error?: Error): this;
}

/** The datagrams that one visitor sends from one port, for `for await` until the flow ends. Who reads slowly gets the last 512. */
export interface TunnelFlow extends AsyncIterable<Uint8Array> {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The relay's address and the public port that the visitor wrote to. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly closed: boolean;
  /** Answers from the port that the visitor wrote to. False: the flow is closed. Like any datagram it may be lost. */
  send(datagram: Uint8Array): boolean;
  close(): void;
}
