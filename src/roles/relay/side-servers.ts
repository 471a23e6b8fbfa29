import type { EntryPorts } from "../../core/table.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { monotonicMs } from "../../os/clock.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import type { CheckServer } from "../../servers/check/server.ts";
import type { HttpListener } from "../../servers/http-listen.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { RelaySettings } from "../control.ts";
import { openMetrics } from "../metrics/open.ts";
import type { ProcessMetrics } from "../metrics/page.ts";
import type { RelayCheck } from "./check.ts";
import { openCheckPage } from "./check-page.ts";
import type { LentServers, ServerPorts } from "./lent-servers.ts";
import { RelayStun } from "./stun.ts";

export interface SideServersOptions {
  readonly check: RelayCheck;
  readonly metrics: ProcessMetrics;
  /** Shared with the gateway's mappings when one process is both. */
  readonly ports: EntryPorts;
  /** With other processes of this relay. */
  readonly sharing: PortSharing;
  settings(): RelaySettings;
  /** As the agent port is bound. */
  listenAt(): HostPort;
  readonly signal: AbortSignal;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
  /** `what` could not be done, one sentence's beginning. */
  failed(what: string, error: unknown): void;
}

/** What a relay answers beside its forwards: the check page, metrics and STUN. Each is there when the config wants it. */
export class SideServers implements LentServers {
  readonly #options: SideServersOptions;
  #page: CheckServer | null = null;
  #metrics: HttpListener | null = null;
  #stun: RelayStun | null = null;

  constructor(options: SideServersOptions) {
    this.#options = options;
  }

  get page(): CheckServer | null {
    return this.#page;
  }

  get metrics(): HttpListener | null {
    return this.#metrics;
  }

  get stun(): RelayStun | null {
    return this.#stun;
  }

  /** Throws ControlError `failed` when the port cannot be had. */
  openPage(): void {
    const { check, settings, sharing, failed } = this.#options;
    this.#page = openCheckPage(check, settings, sharing, (error) => failed("the check page failed", error));
  }

  /** Rejects as `openMetrics` does. */
  async openMetrics(): Promise<void> {
    const { settings, metrics, sharing, failed } = this.#options;
    const unread = (error: unknown) => failed("the metrics could not be read", error);
    this.#metrics = await openMetrics(settings().metrics, () => metrics.text(), unread, sharing);
  }

  /** After the forwards of before are open again: theirs are the ports that they hold. */
  async startStun(): Promise<void> {
    const { settings, listenAt, ports, sharing, signal, warn } = this.#options;
    this.#stun = await RelayStun.start({
      listen: listenAt(),
      ports,
      sharing,
      enabled: () => settings().stun,
      addresses: () => ownAddresses().map(({ address }) => address),
      nowMs: monotonicMs,
      signal,
      warn,
    });
  }

  sweep(nowMs: number): void {
    this.#stun?.sweep(nowMs);
  }

  /** Where they listen. */
  get openPorts(): ServerPorts {
    return {
      tcp: this.#http.map(({ port }) => port),
      udp: this.#stun?.reserved.map(({ port }) => port) ?? [],
    };
  }

  setShared(shared: boolean): boolean {
    return this.#http.every((server) => server.setShared(shared)) && (this.#stun?.setShared(shared) ?? true);
  }

  leave(): void {
    for (const server of this.#http) server.endIdle();
  }

  async retire(): Promise<void> {
    this.#stun?.close();
    await Promise.all(this.#http.map((server) => server.retire()));
  }

  async close(): Promise<void> {
    this.#stun?.close();
    const servers = this.#http;
    [this.#page, this.#metrics] = [null, null];
    await Promise.all(servers.map((server) => server.close()));
  }

  get #http(): HttpListener[] {
    return [this.#page, this.#metrics].filter((server) => server !== null);
  }
}
