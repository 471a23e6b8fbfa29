import type { ExternalCounters, MappingDesk } from "../../core/mapping/desk.ts";
import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { InsideInterface } from "../../core/mapping/inside.ts";
import { messageOf } from "../../os/errors.ts";
import { interfaceNumber } from "../../os/interfaces.ts";
import type { Logger } from "../../os/log.ts";
import { IgdServer } from "../../servers/igd/server.ts";
import { PortMapServer } from "../../servers/portmap/server.ts";
import { isIpv6 } from "../../wire/address.ts";
import { SSDP_PORT } from "../../wire/igd/ssdp.ts";
import { MAPPING_SERVER_PORT } from "../../wire/natpmp.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { GatewayStatus } from "../control.ts";
import type { MappingServerSettings } from "./settings.ts";

export interface GatewayServersOptions {
  readonly desk: MappingDesk;
  readonly epoch: ServerEpoch;
  nowMs(): number;
  wallMs(): number;
  /** What control points know this gateway by from start to start. */
  readonly seed: string;
  /** See IgdOptions. */
  readonly lastHttpPort: number | null;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const IGD = "UPnP-IGD";
/** Nobody knows the line's; control points show it, and few do. */
const LINE_BITS_PER_SEC = 1_000_000_000;
/** Linux's nf_conntrack_tcp_timeout_established and nf_conntrack_udp_timeout_stream (nf_conntrack-sysctl). */
const OUTBOUND_TIMEOUT_SEC = { tcp: 432_000, udp: 120 } as const;

type ServerState = GatewayStatus["servers"][number];

/** The servers of the mapping protocols, on the inside interfaces as they are now. */
export class GatewayServers {
  readonly #options: GatewayServersOptions;
  readonly #portMap: PortMapServer;
  /** One for each HTTP port that was asked for: control points keep its address. */
  #igd: { readonly httpPort: number; readonly server: IgdServer; readonly end: AbortController } | null = null;
  #states: readonly ServerState[] = [];

  constructor(options: GatewayServersOptions) {
    this.#options = options;
    const { desk, epoch, nowMs, signal, log } = options;
    this.#portMap = new PortMapServer({
      desk,
      epoch,
      nowMs,
      signal,
      onFailure: (error) => log.error("a port mapping request failed: {error}", { error: messageOf(error) }),
    });
  }

  /** Serves exactly this from now on; what could not be opened is told once, and tried again at the next call. */
  apply(settings: MappingServerSettings, interfaces: readonly InsideInterface[]): void {
    const { natPmp, pcp, secureMode } = settings;
    const failures = this.#portMap.apply({ natPmp, pcp, thirdParty: !secureMode, interfaces });
    const [failure] = failures;
    const names = [...(natPmp ? ["NAT-PMP"] : []), ...(pcp ? ["PCP"] : [])];
    this.#setStates([
      {
        name: names.length === 0 ? "NAT-PMP and PCP" : names.join(" and "),
        listening: this.#portMap.endpoints.length > 0,
        message: failure?.message ?? null,
      },
      this.#applyIgd(settings, interfaces),
    ]);
  }

  #applyIgd({ igd, httpPort }: MappingServerSettings, interfaces: readonly InsideInterface[]): ServerState {
    if (this.#igd !== null && (!igd || this.#igd.httpPort !== httpPort)) {
      this.#igd.end.abort();
      this.#igd = null;
    }
    if (!igd) return { name: IGD, listening: false, message: null };
    this.#igd ??= this.#startIgd(httpPort);
    // An interface that has no IPv4 address yet has no place for SSDP.
    const ready = interfaces.filter(({ addresses }) => addresses.some((address) => !isIpv6(address)));
    const [failure] = this.#igd.server.apply(ready);
    return { name: IGD, listening: this.#igd.server.http.length > 0, message: failure?.message ?? null };
  }

  #startIgd(httpPort: number) {
    const { desk, seed, lastHttpPort, nowMs, wallMs, log, signal } = this.#options;
    const end = new AbortController();
    const server = new IgdServer({
      desk,
      httpPort,
      lastHttpPort,
      seed,
      highestVersion: 2,
      friendlyName: "Hatchway",
      presentationUrl: null,
      pinholesAllowed: true,
      upBitsPerSec: LINE_BITS_PER_SEC,
      downBitsPerSec: LINE_BITS_PER_SEC,
      outboundTimeoutSec: OUTBOUND_TIMEOUT_SEC,
      wallMs,
      monotonicMs: nowMs,
      random: Math.random,
      signal: AbortSignal.any([signal, end.signal]),
      onRefused: (message) => log.info("{message}", { message }),
      onFailed: (error) => log.error("a UPnP request failed: {error}", { error: messageOf(error) }),
      onError: (error) => log.debug("UPnP: {error}", { error: messageOf(error) }),
    });
    return { httpPort, server, end };
  }

  #setStates(states: readonly ServerState[]): void {
    for (const { message } of states) {
      const told = this.#states.some((before) => before.message === message);
      if (message !== null && !told) this.#options.log.warn("{message}", { message });
    }
    this.#states = states;
  }

  /** The epoch was reset: tells the clients. */
  announce(): void {
    this.#portMap.announce();
  }

  /** The ports that must answer nothing outside. */
  ports(): Readonly<Record<Protocol, readonly number[]>> {
    const http = this.#igd?.server.http.map(({ port }) => port) ?? [];
    return { tcp: [...new Set(http)], udp: [MAPPING_SERVER_PORT, SSDP_PORT] };
  }

  states(): readonly ServerState[] {
    return this.#states;
  }

  /** Of IGD; null = it listens nowhere. */
  get httpPort(): number | null {
    return this.#igd?.server.http[0]?.port ?? null;
  }

  /** Something could not be opened at the last `apply`. */
  get incomplete(): boolean {
    return this.#states.some(({ message }) => message !== null);
  }

  /** Of the WAN interfaces, since they came up. One that is gone counts as none. */
  async counters(wan: readonly string[]): Promise<ExternalCounters> {
    const sum = (name: string) =>
      wan.reduce((total, link) => total + (interfaceNumber(link, `statistics/${name}`) ?? 0), 0);
    return {
      bytesIn: sum("rx_bytes"),
      bytesOut: sum("tx_bytes"),
      packetsIn: sum("rx_packets"),
      packetsOut: sum("tx_packets"),
    };
  }
}
