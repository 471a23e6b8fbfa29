import { compilePermissions, type Permissions } from "../../core/mapping/permission.ts";
import type { MappingPolicy } from "../../core/mapping/request.ts";
import type { ReservedPort } from "../../core/policy.ts";
import type { ListeningPort } from "../../os/listening.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { Network } from "./network.ts";
import type { GatewaySettings } from "./settings.ts";

export interface PolicyOptions {
  settings(): GatewaySettings;
  network(): Network;
  /** The ports of the gateway's own servers. */
  ownPorts(): Readonly<Record<Protocol, readonly number[]>>;
  listening(): readonly ListeningPort[];
  /** What a peer of the VPN may; null = the address is none's. */
  peerRights(address: string): Pick<MappingPolicy, "permissions" | "maxPerClient"> | null;
  nowMs(): number;
}

/** How long a look at what this machine listens on is good for: a burst of requests costs one. */
const LISTENING_MS = 2_000;

/** What clients may have: the settings, the network and what this machine itself needs, as they are now. */
export class GatewayPolicy {
  readonly #options: PolicyOptions;
  #permissions: { readonly of: GatewaySettings; readonly compiled: Permissions } | null = null;
  #reserved: { readonly atMs: number; readonly ports: readonly ReservedPort[] } | null = null;

  constructor(options: PolicyOptions) {
    this.#options = options;
  }

  /** For a request of this client. */
  of(requester: string): MappingPolicy {
    return { ...this.#current(), ...this.#options.peerRights(requester) };
  }

  #current(): MappingPolicy {
    const settings = this.#options.settings();
    const { servers, snatPorts } = settings;
    const network = this.#options.network();
    return {
      inside: network.clients,
      own: network.own,
      secureMode: servers.secureMode,
      permissions: this.#permissionsOf(settings),
      reserved: this.reserved(),
      denied: { ranges: [{ protocol: null, ...snatPorts, internalFirst: snatPorts.first }] },
      maxPerClient: servers.maxPerClient,
      natPmpPortZero: servers.portZero ? "sameAsExternal" : "refuse",
      strictNonce: servers.strictNonce,
    };
  }

  /** What the machine needs for itself: a forward of it would take its visitors away. */
  reserved(): readonly ReservedPort[] {
    const nowMs = this.#options.nowMs();
    if (this.#reserved === null || nowMs - this.#reserved.atMs > LISTENING_MS) {
      this.#reserved = { atMs: nowMs, ports: this.#needed() };
    }
    return this.#reserved.ports;
  }

  #needed(): ReservedPort[] {
    const own = this.#options.ownPorts();
    const servers = (["tcp", "udp"] as const).flatMap((protocol) =>
      own[protocol].map((port) => ({ protocol, port, purpose: "one that the gateway's own servers need" })),
    );
    const others = this.#options
      .listening()
      .filter(({ protocol, port }) => !own[protocol].includes(port))
      .map(({ protocol, port }) => ({ protocol, port, purpose: "one that a program of this machine listens on" }));
    return [...servers, ...others];
  }

  #permissionsOf(settings: GatewaySettings): Permissions {
    if (this.#permissions?.of !== settings) {
      this.#permissions = { of: settings, compiled: compilePermissions(settings.servers.rules) };
    }
    return this.#permissions.compiled;
  }
}
