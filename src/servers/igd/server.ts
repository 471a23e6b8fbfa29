import type { MappingDesk } from "../../core/mapping/desk.ts";
import type { InsideInterface } from "../../core/mapping/inside.ts";
import { same } from "../../core/same.ts";
import { type SystemSockets, systemSockets } from "../../dataplanes/io/system-sockets.ts";
import { type After, after } from "../../os/timers.ts";
import { VERSION } from "../../os/version.ts";
import { type Endpoint, formatHostPort } from "../../wire/endpoint.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import type { InsideBindFailure } from "../inside-bind.ts";
import type { Answering } from "./answer.ts";
import { Connections, type HttpListener, listenHttp } from "./http-server.ts";
import { identityOf } from "./identity.ts";
import { newInside } from "./inside.ts";
import { PinholeNumbers } from "./pinhole-numbers.ts";
import { newSite, type Site } from "./site.ts";
import { SsdpAnswers } from "./ssdp-answers.ts";
import { openSsdp, type Ssdp } from "./ssdp-server.ts";

export interface IgdOptions {
  readonly desk: MappingDesk;
  /** One for all addresses; 0 = any that is free on all of them. */
  readonly httpPort: number;
  /**
   * Of the run before: tried first when any will do. Control points that did not hear of the restart ask there, and people
   * have let it through their firewalls. Default none.
   */
  readonly lastHttpPort?: number | null;
  /** Default 1900; another one in tests only, because control points know no other. */
  readonly ssdpPort?: number;
  /** A secret of this gateway's, by which control points know it again; null = another at each start. */
  readonly seed: string | null;
  /** 1 = no client gets anything of version 2. */
  readonly highestVersion: IgdVersion;
  readonly friendlyName: string;
  /** The page of the console; null = none. */
  readonly presentationUrl: string | null;
  readonly pinholesAllowed: boolean;
  readonly upBitsPerSec: number;
  readonly downBitsPerSec: number;
  /** How long the firewall keeps a silent flow that began inside. */
  readonly outboundTimeoutSec: Readonly<Record<Protocol, number>>;
  /** The wall clock: BOOTID grows with it from start to start. */
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
  /** 0 up to 1; how long to wait, not what to keep secret. */
  readonly random: () => number;
  readonly after?: After;
  /** Ends the server: it says farewell, and every connection is cut. */
  readonly signal: AbortSignal;
  /** Why a client did not get what it asked for: one sentence. */
  readonly onRefused: (message: string) => void;
  /** The desk rejected: the gateway itself fails. */
  readonly onFailed: (error: unknown) => void;
  /** A datagram or a connection that the system had trouble with. */
  readonly onError: (error: unknown) => void;
}

interface Opened {
  readonly spec: InsideInterface;
  /** Of the interface that was there then: one made anew under the name has another. */
  readonly index: number | null;
  readonly listeners: readonly HttpListener[];
  readonly ssdp: Ssdp;
}

/** UPnP Device Architecture 1.1 §1.2.2: BOOTID has 31 bits. */
const BOOT_IDS = 2 ** 31;
const MS_PER_SEC = 1000;
/** For a port that is free on each of a few addresses. */
const PORT_ATTEMPTS = 10;
/** The architecture wants an operating system with a version; which one is nobody's business. */
const SERVER_NAME = `Linux/1.0 UPnP/1.1 Hatchway/${VERSION}`;

/** The UPnP Internet Gateway Device on the inside interfaces of a gateway. Opens nothing: `apply` does. */
export class IgdServer {
  readonly #options: IgdOptions;
  readonly #system: SystemSockets = systemSockets();
  readonly #site: Site;
  readonly #answering: Answering;
  readonly #answers: SsdpAnswers;
  readonly #connections: Connections;
  readonly #after: After;
  readonly #opened = new Map<string, Opened>();
  /** The port of all listeners; null while any will do. */
  #port: number | null;

  constructor(options: IgdOptions) {
    this.#options = options;
    this.#after = options.after ?? after;
    this.#port = options.httpPort === 0 ? null : options.httpPort;
    const { desk, highestVersion, onRefused, onFailed, random, signal } = options;
    const identity = identityOf(options.seed ?? crypto.randomUUID());
    this.#site = newSite({
      identity,
      friendlyName: options.friendlyName,
      programVersion: VERSION,
      presentationUrl: options.presentationUrl,
    });
    this.#answering = {
      site: this.#site,
      gateway: {
        desk,
        pinholeNumbers: new PinholeNumbers(),
        pinholesAllowed: options.pinholesAllowed,
        upBitsPerSec: options.upBitsPerSec,
        downBitsPerSec: options.downBitsPerSec,
        outboundTimeoutSec: options.outboundTimeoutSec,
        wanConnectionUuid: identity.uuids.wanConnection,
      },
      highest: highestVersion,
      serverName: SERVER_NAME,
      onRefused,
      onFailed,
    };
    const announcing = {
      uuids: identity.uuids,
      highest: highestVersion,
      serverName: SERVER_NAME,
      bootId: Math.floor(options.wallMs() / MS_PER_SEC) % BOOT_IDS,
      configId: this.#site.configId,
      location: (address: string) => this.location(address),
      random,
    };
    this.#answers = new SsdpAnswers(announcing, options.monotonicMs());
    this.#connections = new Connections(this.#after, options.monotonicMs);
    signal.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** Where descriptions and control are, by address. */
  get http(): readonly Endpoint[] {
    return [...this.#opened.values()].flatMap(({ listeners }) => listeners.map(({ endpoint }) => endpoint));
  }

  /** Of the description, for who shares a network with this address of the gateway's. */
  location(address: string): string {
    return `http://${formatHostPort(address, this.#port ?? 0)}${this.#site.devicePath}`;
  }

  /**
   * Serves exactly these from now on; what is open already and stays is not touched. Nothing is opened, heard or said on
   * any other. Returns those that could not be opened, each as a whole; applying the same again tries them again, and
   * follows an interface that was made anew (a tunnel's).
   */
  apply(interfaces: readonly InsideInterface[]): readonly InsideBindFailure[] {
    if (this.#options.signal.aborted) return [];
    const wanted = new Map(interfaces.map((one) => [one.name, one]));
    for (const [name, { spec, index }] of this.#opened) {
      if (same(wanted.get(name), spec) && this.#system.interfaceIndex(name) === index) continue;
      this.#close(name);
    }
    const failures: InsideBindFailure[] = [];
    for (const [name, spec] of wanted) {
      if (this.#opened.has(name)) continue;
      const opened = this.#open(spec);
      if (opened.ok) this.#opened.set(name, opened.value);
      else failures.push(opened.error);
    }
    return failures;
  }

  #open(spec: InsideInterface): Result<Opened, InsideBindFailure> {
    const inside = newInside(spec);
    const index = this.#system.interfaceIndex(spec.name);
    const { monotonicMs: nowMs, random, onError, ssdpPort: port = SSDP_PORT } = this.#options;
    const listening = this.#listen(spec, inside.holds);
    if (!listening.ok) return listening;
    const listeners = listening.value;
    this.#port = listeners[0]?.endpoint.port ?? this.#port;
    const shared = { answers: this.#answers, system: this.#system, after: this.#after };
    const ssdp = openSsdp({ inside, port, nowMs, random, onError, ...shared });
    if (ssdp.ok) return ok({ spec, index, listeners, ssdp: ssdp.value });
    for (const listener of listeners) listener.close();
    return ssdp;
  }

  /** A listener on each address, all with the same port. */
  #listen(spec: InsideInterface, isNeighbour: (peer: string) => boolean): Result<HttpListener[], InsideBindFailure> {
    const { lastHttpPort = null } = this.#options;
    const again =
      this.#port === null && lastHttpPort !== null ? this.#listenOnce(spec, isNeighbour, lastHttpPort) : null;
    if (again?.ok === true) return again;
    let opened = this.#listenOnce(spec, isNeighbour);
    // Any free port of the first address may be taken on the next.
    const attempts = this.#port === null ? PORT_ATTEMPTS : 1;
    for (let attempt = 1; !opened.ok && attempt < attempts; attempt++) opened = this.#listenOnce(spec, isNeighbour);
    return opened;
  }

  #listenOnce(
    spec: InsideInterface,
    isNeighbour: (peer: string) => boolean,
    port = this.#port,
  ): Result<HttpListener[], InsideBindFailure> {
    const listeners: HttpListener[] = [];
    for (const address of spec.addresses) {
      const opened = listenHttp({
        interfaceName: spec.name,
        address,
        port: port ?? listeners[0]?.endpoint.port ?? 0,
        isNeighbour,
        answering: this.#answering,
        connections: this.#connections,
        system: this.#system,
        onError: this.#options.onError,
      });
      if (!opened.ok) {
        for (const listener of listeners) listener.close();
        return opened;
      }
      listeners.push(opened.value);
    }
    return ok(listeners);
  }

  #close(name: string): void {
    const opened = this.#opened.get(name);
    this.#opened.delete(name);
    opened?.ssdp.close();
    for (const listener of opened?.listeners ?? []) listener.close();
  }

  #end(): void {
    for (const name of [...this.#opened.keys()]) this.#close(name);
    this.#connections.close();
  }
}
