// What apps get by `import { … } from "hatchway"`: package.json names this file. Here and in the files that it names is the one
// place where these types are written; src/index.ts and what is in this folder are held to them. They need no other types than
// TypeScript's own.

import type * as errors from "./hatchway-errors.d.ts";
import type {
  ConnectOptions,
  EnrolOptions,
  ExposeOptions,
  ListenOptions,
  RelayOptions,
  SocksOptions,
} from "./hatchway-options.d.ts";
import type { Device, Exposed, Listening, Relay } from "./hatchway-relay.d.ts";
import type { OpenPort, OpenPortOptions } from "./hatchway-router.d.ts";
import type { OnSocket, TunnelSocket, VisitorHandlers } from "./hatchway-sockets.d.ts";

export type { RelayFailureKind, RouterFailureKind } from "./hatchway-errors.d.ts";
export type * from "./hatchway-options.d.ts";
export type * from "./hatchway-relay.d.ts";
export type * from "./hatchway-router.d.ts";
export type * from "./hatchway-sockets.d.ts";

// A declaration file can give on types alone: the classes are written there, and are values here.
export type HatchwayError = errors.HatchwayError;
export const HatchwayError: typeof errors.HatchwayError;
export type OpenPortError = errors.OpenPortError;
export const OpenPortError: typeof errors.OpenPortError;

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

/**
 * Makes this app a device of a relay: `joinCode` is what `hatchway join-code create` or the console gave, good for one
 * device. The app keeps `key` as it keeps a password; with it, it opens ports and connections from then on.
 *
 * @example
 * const { key } = await enrol({ joinCode });
 * await writeFile("relay.key", key, { mode: 0o600 });
 */
export function enrol(options: EnrolOptions): Promise<Device>;

/**
 * The device of an agent's data directory (`hatchway agent --data`), for an app that takes that agent's place. Not beside the
 * agent: one device has one connection, and two programs would take it from each other.
 */
export function deviceOf(dataDirectory: string): Promise<Device>;

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
