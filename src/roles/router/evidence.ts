import type { NatVerdict, RouterEvidence } from "../../core/check/evidence.ts";
import type { ListedMapping } from "../../core/router/model.ts";
import type { Verdict } from "../../core/router/verdict.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { UpstreamTarget } from "../check/means.ts";
import { inspectRouter } from "./inspect.ts";

export interface RouterQuestion {
  readonly port: number;
  readonly protocol: Protocol;
  /** Where the port is to lead, by a mapping that the router was asked for; null = it was not. */
  readonly wanted: UpstreamTarget | null;
  readonly stunServer: HostPort | null;
  readonly signal: AbortSignal;
}

/** What this machine's router says of a port, for a check of it; null = there is no router. In some 3 s. */
export async function routerEvidence(question: RouterQuestion): Promise<RouterEvidence | null> {
  const { port, protocol, wanted, stunServer, signal } = question;
  const router = wanted?.router ?? null;
  const { routers, mappings, verdict } = await inspectRouter({ stunServer, router, signal });
  if (routers.length === 0) return null;
  const own = new Set(ownAddresses().map(({ address }) => address));
  const leadsThere = ({ internalAddress, internalPort }: ListedMapping): boolean =>
    (wanted?.host == null ? own.has(internalAddress) : internalAddress === wanted.host) &&
    (wanted === null || internalPort === wanted.port);
  const listed = mappings?.some(
    (one) => one.enabled && one.externalPort === port && one.protocol === protocol && leadsThere(one),
  );
  // A port that nobody asked for is in no list, and that is no news.
  return { holds: listed === true ? true : wanted !== null && listed === false ? false : null, nat: natOf(verdict) };
}

function natOf({ kind, sure }: Verdict): NatVerdict | null {
  switch (kind) {
    case "open-internet":
    case "double-nat":
    case "cgnat":
    case "ipv6-only":
      return sure ? kind : null;
    // A router that opens nothing by itself may have been told by hand.
    case "blocked":
    case "no-network":
    case "public-here":
    case "vpn":
      return null;
    default:
      return kind satisfies never;
  }
}
