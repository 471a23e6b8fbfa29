import { readFileSync } from "node:fs";
import type { ExternalCounters, MappingDesk } from "../../core/mapping/desk.ts";
import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { Logger } from "../../os/log.ts";
import { PortMapServer } from "../../servers/portmap/server.ts";
import { MAPPING_SERVER_PORT } from "../../wire/natpmp.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { GatewayStatus } from "../control.ts";
import type { InsideInterface } from "./network.ts";
import type { MappingServerSettings } from "./settings.ts";

export interface GatewayServersOptions {
  readonly desk: MappingDesk;
  readonly epoch: ServerEpoch;
  nowMs(): number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

type ServerState = GatewayStatus["servers"][number];

/** The servers of the mapping protocols, on the inside interfaces as they are now. */
export class GatewayServers {
  readonly #options: GatewayServersOptions;
  readonly #portMap: PortMapServer;
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
  apply({ natPmp, pcp, secureMode }: MappingServerSettings, interfaces: readonly InsideInterface[]): void {
    const failures = this.#portMap.apply({ natPmp, pcp, thirdParty: !secureMode, interfaces });
    const [failure] = failures;
    const names = [...(natPmp ? ["NAT-PMP"] : []), ...(pcp ? ["PCP"] : [])];
    this.#setStates([
      {
        name: names.length === 0 ? "NAT-PMP and PCP" : names.join(" and "),
        listening: this.#portMap.endpoints.length > 0,
        message: failure?.message ?? null,
      },
    ]);
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
    return { tcp: [], udp: [MAPPING_SERVER_PORT] };
  }

  states(): readonly ServerState[] {
    return this.#states;
  }

  /** Of the WAN interfaces, since they came up. One that is gone counts as none. */
  async counters(wan: readonly string[]): Promise<ExternalCounters> {
    const sum = (name: string) => wan.reduce((total, link) => total + statistic(link, name), 0);
    return {
      bytesIn: sum("rx_bytes"),
      bytesOut: sum("tx_bytes"),
      packetsIn: sum("rx_packets"),
      packetsOut: sum("tx_packets"),
    };
  }
}

function statistic(link: string, name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${link}/statistics/${name}`, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
