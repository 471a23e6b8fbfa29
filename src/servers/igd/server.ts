import type { MappingDesk } from "../../core/mapping/desk.ts";
import { deviceKeeper } from "../../dataplanes/io/keep-to-device.ts";
import { VERSION } from "../../os/version.ts";
import { type Endpoint, formatHostPort } from "../../wire/endpoint.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import { type After, afterReal } from "./after.ts";
import type { Answering } from "./answer.ts";
import type { IgdBindError } from "./bind-error.ts";
import { Connections, type HttpListener, listenHttp } from "./http-server.ts";
import { identityOf } from "./identity.ts";
import { type Inside, type InsideInterface, newInside } from "./inside.ts";
import { PinholeNumbers } from "./pinhole-numbers.ts";
import { newSite } from "./site.ts";
import { SsdpAnswers } from "./ssdp-answers.ts";
import { openSsdp } from "./ssdp-server.ts";

export interface IgdOptions {
  readonly desk: MappingDesk;
  /** Nothing is opened, heard or said on any other. */
  readonly interfaces: readonly InsideInterface[];
  /** One for all addresses; 0 = any that is free on all of them. */
  readonly httpPort: number;
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

export interface IgdServer {
  /** Where descriptions and control are, by address. */
  readonly http: readonly Endpoint[];
  /** Of the description, for who shares a network with this address of the gateway's. */
  location(address: string): string;
}

/** UPnP Device Architecture 1.1 §1.2.2: BOOTID has 31 bits. */
const BOOT_IDS = 2 ** 31;
const MS_PER_SEC = 1000;
/** For a port that is free on each of a few addresses. */
const PORT_ATTEMPTS = 10;
/** The architecture wants an operating system with a version; which one is nobody's business. */
const SERVER_NAME = `Linux/1.0 UPnP/1.1 Hatchway/${VERSION}`;

/** Opens the UPnP Internet Gateway Device on the inside interfaces: all of it, or nothing and returns why. */
export function startIgd(options: IgdOptions): Result<IgdServer, IgdBindError> {
  const { after = afterReal, random, highestVersion, signal } = options;
  const identity = identityOf(options.seed ?? crypto.randomUUID());
  const site = newSite({
    identity,
    friendlyName: options.friendlyName,
    programVersion: VERSION,
    presentationUrl: options.presentationUrl,
  });
  const answering: Answering = {
    site,
    gateway: {
      desk: options.desk,
      pinholeNumbers: new PinholeNumbers(),
      pinholesAllowed: options.pinholesAllowed,
      upBitsPerSec: options.upBitsPerSec,
      downBitsPerSec: options.downBitsPerSec,
      outboundTimeoutSec: options.outboundTimeoutSec,
      wanConnectionUuid: identity.uuids.wanConnection,
    },
    highest: highestVersion,
    serverName: SERVER_NAME,
    onRefused: options.onRefused,
    onFailed: options.onFailed,
  };
  const insides = options.interfaces.map(newInside);
  const connections = new Connections(after, options.monotonicMs);
  const listening = openHttp(options, answering, connections, insides);
  if (!listening.ok) return listening;
  const listeners = listening.value;
  const port = listeners[0]?.endpoint.port ?? options.httpPort;
  const location = (address: string): string => `http://${formatHostPort(address, port)}${site.devicePath}`;
  const closeHttp = (): void => {
    for (const listener of listeners) listener.close();
    connections.close();
  };

  const ssdp = openSsdp({
    insides,
    port: options.ssdpPort ?? SSDP_PORT,
    answers: new SsdpAnswers(
      {
        uuids: identity.uuids,
        highest: highestVersion,
        serverName: SERVER_NAME,
        bootId: Math.floor(options.wallMs() / MS_PER_SEC) % BOOT_IDS,
        configId: site.configId,
        location,
        random,
      },
      options.monotonicMs(),
    ),
    keepToDevice: deviceKeeper(),
    after,
    nowMs: options.monotonicMs,
    random,
    onError: options.onError,
  });
  if (!ssdp.ok) {
    closeHttp();
    return ssdp;
  }
  const close = (): void => {
    ssdp.value.close();
    closeHttp();
  };
  if (signal.aborted) close();
  else signal.addEventListener("abort", close, { once: true });
  return ok({ http: listeners.map(({ endpoint }) => endpoint), location });
}

/** A listener on each address, all with the same port. */
function openHttp(
  options: IgdOptions,
  answering: Answering,
  connections: Connections,
  insides: readonly Inside[],
): Result<readonly HttpListener[], IgdBindError> {
  const keepToDevice = deviceKeeper();
  const open = (): Result<readonly HttpListener[], IgdBindError> => {
    const listeners: HttpListener[] = [];
    for (const inside of insides) {
      for (const address of inside.addresses) {
        const opened = listenHttp({
          interfaceName: inside.name,
          address,
          port: listeners[0]?.endpoint.port ?? options.httpPort,
          isNeighbour: inside.holds,
          answering,
          connections,
          keepToDevice,
          onError: options.onError,
        });
        if (!opened.ok) {
          for (const listener of listeners) listener.close();
          return opened;
        }
        listeners.push(opened.value);
      }
    }
    return ok(listeners);
  };
  let opened = open();
  // Any free port of the first address may be taken on the next.
  for (let attempt = 1; !opened.ok && options.httpPort === 0 && attempt < PORT_ATTEMPTS; attempt++) opened = open();
  return opened;
}
