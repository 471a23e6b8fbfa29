import { randomBytes } from "node:crypto";
import { NOT_ALLOWED } from "../core/router/ladder.ts";
import { type Gateway, ROUTER_PROTOCOLS, type RouterFailure, type RouterProtocol } from "../core/router/model.ts";
import type { ByFamily } from "../core/router/verdict-facts.ts";
import { monotonicMs } from "../os/clock.ts";
import { err, type Result } from "../wire/result.ts";
import type { Probed, RouterAccess } from "./access.ts";
import { probeIgd } from "./igd/probe.ts";
import { probePortMap } from "./portmap/probe.ts";

export interface SystemAccessOptions {
  /** The routers to ask, by the routes as they are now. */
  readonly gateways: (signal: AbortSignal) => Promise<ByFamily<Gateway | null>>;
  /** What may be spoken; a router is asked nothing else. Absent = everything. */
  readonly allowed?: readonly RouterProtocol[];
  /** For each time that something came that does not count. */
  readonly onIgnored: (protocol: "UPnP" | "PCP or NAT-PMP", reason: string, from: string) => void;
  /** What a router announces cannot be heard: one sentence. */
  readonly onDeaf: (message: string) => void;
  /** Tests have routers at other ports than the well-known ones. */
  readonly ports?: { readonly portMap?: number; readonly portMapClient?: number; readonly ssdp?: number };
  /** Hears of each protocol that a router speaks. */
  readonly onFound?: (probed: Probed, gateway: Gateway) => void;
}

/** This machine's real routers. */
export function systemAccess(options: SystemAccessOptions): RouterAccess {
  const { gateways, allowed = ROUTER_PROTOCOLS, onFound } = options;
  return {
    async gateway(family, signal) {
      const { v4, v6 } = await gateways(signal);
      return family === 4 ? v4 : v6;
    },
    async probe(protocols, gateway, signal) {
      const asked = protocols.filter((protocol) => allowed.includes(protocol));
      const probed = await (protocols.some(isPortMap)
        ? probePortMaps(asked.filter(isPortMap), gateway, signal, options)
        : probeUpnp(asked, gateway, signal, options));
      for (const one of probed) if (one.result.ok) onFound?.(one, gateway);
      const others = protocols.filter((protocol) => !allowed.includes(protocol));
      return [...probed, ...others.map((protocol) => ({ protocol, result: err(NOT_ALLOWED) }))];
    },
  };
}

type PortMapProtocol = "pcp" | "nat-pmp";

function isPortMap(protocol: RouterProtocol): protocol is PortMapProtocol {
  return protocol === "pcp" || protocol === "nat-pmp";
}

async function probePortMaps(
  asked: readonly PortMapProtocol[],
  gateway: Gateway,
  signal: AbortSignal,
  { onIgnored, onDeaf, ports = {} }: SystemAccessOptions,
): Promise<readonly Probed[]> {
  const [only] = asked;
  if (only === undefined) return [];
  const { pcp, natPmp } = await probePortMap({
    gateway,
    signal,
    onIgnored: (reason, from) => onIgnored("PCP or NAT-PMP", reason, from),
    onDeaf,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    nowMs: monotonicMs,
    ...(ports.portMap === undefined ? {} : { port: ports.portMap }),
    ...(ports.portMapClient === undefined ? {} : { clientPort: ports.portMapClient }),
    ...(asked.length === 1 ? { only } : {}),
  });
  return asked.map((protocol) => ({ protocol, result: protocol === "pcp" ? pcp : natPmp }));
}

async function probeUpnp(
  asked: readonly RouterProtocol[],
  gateway: Gateway,
  signal: AbortSignal,
  { onIgnored, onDeaf, ports = {} }: SystemAccessOptions,
): Promise<readonly Probed[]> {
  const [only] = asked;
  if (only === undefined) return [];
  const probed = await probeIgd({
    gateway,
    signal,
    onIgnored: (reason, from) => onIgnored("UPnP", reason, from),
    onDeaf,
    random: Math.random,
    nowMs: monotonicMs,
    ports,
    ...(asked.length === 1 ? { version: only === "igd2" ? (2 as const) : (1 as const) } : {}),
  });
  return asked.map((protocol) => ({ protocol, result: ofVersion(probed, protocol, asked) }));
}

/** A router is one version to whom both would do: the other is no failure to tell a person of, and no second way in. */
function ofVersion<M extends { readonly protocol: RouterProtocol }>(
  probed: Result<M, RouterFailure>,
  protocol: RouterProtocol,
  asked: readonly RouterProtocol[],
): Result<M, RouterFailure> {
  if (!probed.ok || asked.length === 1 || probed.value.protocol === protocol) return probed;
  const message = `The router is asked as a UPnP-IGD ${probed.value.protocol === "igd2" ? 2 : 1}.`;
  return err({ kind: "unsupported", code: null, message });
}
