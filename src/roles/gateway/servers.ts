import { readFileSync } from "node:fs";
import type { ExternalCounters, MappingDesk } from "../../core/mapping/desk.ts";
import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { Logger } from "../../os/log.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { GatewayStatus } from "../control.ts";
import type { InsideInterface } from "./network.ts";
import type { MappingServerSettings } from "./settings.ts";

export interface GatewayServersOptions {
  readonly desk: MappingDesk;
  readonly epoch: ServerEpoch;
  nowMs(): number;
  wallMs(): number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** The servers of the mapping protocols, on the inside interfaces as they are now. */
export class GatewayServers {
  readonly #options: GatewayServersOptions;

  constructor(options: GatewayServersOptions) {
    this.#options = options;
  }

  /** Serves exactly this from now on. */
  apply(_settings: MappingServerSettings, _inside: readonly InsideInterface[]): void {
    void this.#options;
  }

  announce(): void {}

  /** The ports that must answer nothing outside. */
  ports(): Readonly<Record<Protocol, readonly number[]>> {
    return { tcp: [], udp: [] };
  }

  states(): GatewayStatus["servers"] {
    return [];
  }

  /** Of the WAN interfaces, since they came up. Packets of a torn-down interface count as none. */
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
  } catch {
    return 0;
  }
}
