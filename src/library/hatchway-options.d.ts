// What apps ask of a relay (hatchway.d.ts).

export interface EnrolOptions {
  readonly joinCode: string;
  /** PEM of the CA of a relay that has a certificate of its own. Default: the system's. */
  readonly ca?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

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

export interface Abortable {
  /** Its abort closes what was opened with it, at any time; before it is open, the call rejects. */
  readonly signal?: AbortSignal | undefined;
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
