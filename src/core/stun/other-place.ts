import { classifyAddress, isIpv6 } from "../../wire/address.ts";
import { type Endpoint, MAX_PORT } from "../../wire/endpoint.ts";
import type { StunOutcome } from "./exchange.ts";

/**
 * Where a server with one address has its second port, which no attribute of RFC 5780 may tell (§6): one above the
 * first, as coturn's by default. Whether it is there is tried, not believed.
 */
export function alternatePortOf(port: number): number | null {
  return port < MAX_PORT ? port + 1 : null;
}

/** What a server can answer from besides the place that was asked. */
export interface OtherPlace {
  readonly address: string | null;
  readonly port: number | null;
  /** Why there is no other address; null when there is one. A clause: "the server …". */
  readonly whyNoAddress: string | null;
}

/**
 * From the server's first answer. Another address counts only when it is of the same kind as the one that was asked: no
 * server makes this machine send to its own networks.
 */
export function otherPlaceOf(server: Endpoint, answer: Extract<StunOutcome, { readonly kind: "success" }>): OtherPlace {
  const { other, origin } = answer;
  if (other === null) {
    return origin === null
      ? { address: null, port: null, whyNoAddress: "the server does not say that it can tell (RFC 5780)" }
      : { address: null, port: alternatePortOf(server.port), whyNoAddress: "the server has one address" };
  }
  const port = other.port === 0 || other.port === server.port ? null : other.port;
  if (other.address === server.address) return { address: null, port, whyNoAddress: "the server has one address" };
  const isAlike =
    isIpv6(other.address) === isIpv6(server.address) &&
    classifyAddress(other.address) === classifyAddress(server.address);
  return isAlike && other.port !== 0
    ? { address: other.address, port, whyNoAddress: null }
    : {
        address: null,
        port,
        whyNoAddress: `the server names ${other.address} as its other address, which is not of the network it was asked in`,
      };
}
