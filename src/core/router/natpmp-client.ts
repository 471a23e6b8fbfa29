import { addressBytes, isIpv6 } from "../../wire/address.ts";
import { toHex } from "../../wire/hex.ts";
import type { NatPmpRequest, NatPmpResponse } from "../../wire/natpmp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Gateway, Grant, MappingWish, RouterFailure } from "./model.ts";
import { garbled, natPmpFailure, notSpoken, routerFailure } from "./portmap-faults.ts";

const NAT_PMP = "NAT-PMP";
/** RFC 6886 §3.3 recommends it; there is nothing permanent. */
const DEFAULT_LIFETIME_SEC = 7200;
const MAX_LIFETIME_SEC = 0xffff_ffff;

/** Why NAT-PMP cannot do this at any router; null = it can. */
export function whyNotNatPmp({ internalAddress }: MappingWish, gateway: Gateway): RouterFailure | null {
  if (gateway.family === 6 || isIpv6(internalAddress)) {
    return routerFailure("unsupported", null, "NAT-PMP opens ports of IPv4 only; use PCP or UPnP for IPv6.");
  }
  if (!isSameAddress(internalAddress, gateway.ownAddress)) {
    const message = `NAT-PMP opens ports only to the machine that asks (${gateway.ownAddress}); run Hatchway on ${internalAddress}, or use UPnP.`;
    return routerFailure("unsupported", null, message);
  }
  return null;
}

/** Whether two texts name one address. */
export function isSameAddress(a: string, b: string): boolean {
  const [one, other] = [addressBytes(a), addressBytes(b)];
  return one !== null && other !== null && toHex(one) === toHex(other);
}

/** Whether the wish is for one external port and no other. */
export function isExact({ exact, externalPort }: MappingWish): boolean {
  return exact && externalPort !== 0;
}

/** What to suggest: a renewal keeps the port that it has, unless another one is the only right one. */
export function suggestedPort(wish: MappingWish, held: Grant | null): number {
  return isExact(wish) ? wish.externalPort : (held?.externalPort ?? wish.externalPort);
}

export function natPmpMapRequest(wish: MappingWish, held: Grant | null): NatPmpRequest {
  const { protocol, internalPort, lifetimeSec } = wish;
  return {
    kind: "map",
    protocol,
    internalPort,
    externalPort: suggestedPort(wish, held),
    // 0 would delete.
    lifetimeSec: Math.min(MAX_LIFETIME_SEC, Math.max(1, Math.ceil(lifetimeSec ?? DEFAULT_LIFETIME_SEC))),
  };
}

/**
 * RFC 6886 §3.4: both numbers 0. There is no way to say which one of a port's mappings is meant: a server deletes all that
 * lead to this internal port, so a client keeps one for each.
 */
export function natPmpUnmapRequest({ protocol, internalPort }: MappingWish): NatPmpRequest {
  return { kind: "map", protocol, internalPort, externalPort: 0, lifetimeSec: 0 };
}

/** The external port may be another than the wish's. */
export function natPmpGrant(response: NatPmpResponse, gateway: Gateway): Result<Grant, RouterFailure> {
  if (response.kind !== "map") return err(natPmpRefusal(response, gateway));
  const { externalPort, lifetimeSec } = response;
  if (externalPort === 0 || lifetimeSec === 0) return err(garbled(gateway, NAT_PMP));
  return ok({ externalAddress: null, externalPort, lifetimeSec, ticket: "" });
}

export function natPmpUnmapped(response: NatPmpResponse, gateway: Gateway): Result<null, RouterFailure> {
  return response.kind === "map" ? ok(null) : err(natPmpRefusal(response, gateway));
}

/** Null = it has none. */
export function natPmpAddress(response: NatPmpResponse, gateway: Gateway): Result<string | null, RouterFailure> {
  if (response.kind !== "external-address") return err(natPmpRefusal(response, gateway));
  return ok(response.address === "0.0.0.0" ? null : response.address);
}

/** Whether the answer to a first question shows a router that opens ports by NAT-PMP; null = it does. */
export function whyNoNatPmp(response: NatPmpResponse, gateway: Gateway): RouterFailure | null {
  if (response.kind === "external-address") return null;
  const failure = natPmpRefusal(response, gateway);
  // A line that is down, or a full table, comes back: what is refused, or not known, does not.
  return failure.kind === "refused" || failure.kind === "unsupported" ? failure : null;
}

function natPmpRefusal(response: NatPmpResponse, gateway: Gateway): RouterFailure {
  switch (response.kind) {
    case "failure":
      return natPmpFailure(response.result, gateway);
    case "unsupported-opcode":
    case "unsupported-version":
      return notSpoken(gateway, NAT_PMP, null);
    case "external-address":
    case "map":
      return garbled(gateway, NAT_PMP);
    default:
      return response satisfies never;
  }
}
