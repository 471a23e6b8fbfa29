import { randomBytes } from "node:crypto";
import type { Gateway, Mapper, RouterFailure, RouterProtocol } from "../core/router/model.ts";
import { monotonicMs } from "../os/clock.ts";
import type { Result } from "../wire/result.ts";
import { probeIgd } from "./igd/probe.ts";
import { type PortMapProbed, probePortMap } from "./portmap/probe.ts";

export interface RouterSiteOptions {
  readonly gateway: Gateway;
  /** Each time something came that does not count: who logs each reason once logs at count 1. */
  readonly onIgnored: (protocol: "UPnP" | "PCP or NAT-PMP", reason: string, from: string, count: number) => void;
  /** Where tests have their router; default the ports of the protocols. */
  readonly ports?: { readonly ssdp?: number; readonly portMap?: number; readonly announcements?: number };
}

type Probed = Result<Mapper, RouterFailure>;

/**
 * One router, and what it speaks. It is asked in each protocol once, when somebody wants to know; PCP and NAT-PMP share
 * one socket. The mappers end with the site.
 */
export class RouterSite {
  readonly gateway: Gateway;
  readonly #options: RouterSiteOptions;
  readonly #ended = new AbortController();
  readonly #probes = new Map<RouterProtocol, Promise<Probed>>();
  #portMap: Promise<PortMapProbed> | null = null;

  constructor(options: RouterSiteOptions) {
    this.gateway = options.gateway;
    this.#options = options;
  }

  /** Whether it speaks a protocol: 2.2 s when it is silent. */
  probe(protocol: RouterProtocol): Promise<Probed> {
    const known = this.#probes.get(protocol);
    if (known !== undefined) return known;
    const probing = this.#ask(protocol);
    this.#probes.set(protocol, probing);
    return probing;
  }

  /** Asks all of `protocols` at the same time, so that a silent one costs no time of its own. */
  async probeAll(protocols: readonly RouterProtocol[]): Promise<ReadonlyMap<RouterProtocol, Probed>> {
    return new Map(
      await Promise.all(protocols.map(async (protocol) => [protocol, await this.probe(protocol)] as const)),
    );
  }

  async #ask(protocol: RouterProtocol): Promise<Probed> {
    const { gateway } = this;
    switch (protocol) {
      case "pcp":
        return (await this.#probePortMap()).pcp;
      case "nat-pmp":
        return (await this.#probePortMap()).natPmp;
      case "igd2":
      case "igd1": {
        const ssdp = this.#options.ports?.ssdp;
        return probeIgd({
          gateway,
          signal: this.#ended.signal,
          onIgnored: (reason, from, count) => this.#options.onIgnored("UPnP", reason, from, count),
          random: Math.random,
          nowMs: monotonicMs,
          version: protocol === "igd2" ? 2 : 1,
          ...(ssdp === undefined ? {} : { ports: { ssdp } }),
        });
      }
      default:
        return protocol satisfies never;
    }
  }

  #probePortMap(): Promise<PortMapProbed> {
    const { ports = {} } = this.#options;
    this.#portMap ??= probePortMap({
      gateway: this.gateway,
      signal: this.#ended.signal,
      onIgnored: (reason, from, count) => this.#options.onIgnored("PCP or NAT-PMP", reason, from, count),
      randomBytes: (count) => new Uint8Array(randomBytes(count)),
      nowMs: monotonicMs,
      ...(ports.portMap === undefined ? {} : { port: ports.portMap }),
      ...(ports.announcements === undefined ? {} : { clientPort: ports.announcements }),
    });
    return this.#portMap;
  }

  /** Closes the mappers; probes under way end. */
  async close(): Promise<void> {
    this.#ended.abort();
    for (const probed of await Promise.all(this.#probes.values())) if (probed.ok) probed.value.close();
  }
}
