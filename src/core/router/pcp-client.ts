import { isIpv6 } from "../../wire/address.ts";
import { fromHex } from "../../wire/hex.ts";
import { NONCE_BYTES, type PcpMap, PcpProtocol, PcpResult } from "../../wire/pcp/message.ts";
import type { PcpRequest } from "../../wire/pcp/request.ts";
import type { PcpResponse } from "../../wire/pcp/response.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { Gateway, Grant, MappingWish, RouterFailure } from "./model.ts";
import { isExact, isSameAddress, suggestedPort } from "./natpmp-client.ts";
import { garbled, notSpoken, pcpFailure, routerFailure } from "./portmap-faults.ts";

const PCP = "PCP";
/** RFC 6887 §15: the longest that servers are advised to give. There is nothing permanent. */
const LONGEST_LIFETIME_SEC = 24 * 60 * 60;
const MAX_LIFETIME_SEC = 0xffff_ffff;
/** §5: no suggestion, in the family of the address that is wanted. */
const ANY_IPV4 = "0.0.0.0";
/** Whether a grant's ticket is one of this protocol's. */
export function isNonce(ticket: string): boolean {
  return fromHex(ticket)?.length === NONCE_BYTES;
}

/** Why PCP cannot do this at that gateway; null = it can. */
export function whyNotPcp({ internalAddress }: MappingWish, gateway: Gateway): RouterFailure | null {
  if (isIpv6(internalAddress) === (gateway.family === 6)) return null;
  const message = `The router at ${gateway.address} opens ports of IPv${gateway.family} only; ask its other address.`;
  return routerFailure("unsupported", null, message);
}

export interface PcpMapOptions {
  /** By it the mapping is renewed and deleted. */
  readonly nonce: string;
  /** Ask for that port or none in the router's own way (§13.2). */
  readonly preferFailure: boolean;
}

export function pcpAnnounceRequest({ ownAddress }: Gateway): PcpRequest {
  return { lifetimeSec: 0, clientAddress: ownAddress, body: { opcode: "announce" } };
}

/** `held`: null, or what is renewed. */
export function pcpMapRequest(
  wish: MappingWish,
  held: Grant | null,
  gateway: Gateway,
  options: PcpMapOptions,
): PcpRequest {
  const { lifetimeSec } = wish;
  return {
    // 0 would delete.
    lifetimeSec: Math.min(MAX_LIFETIME_SEC, Math.max(1, Math.ceil(lifetimeSec ?? LONGEST_LIFETIME_SEC))),
    clientAddress: gateway.ownAddress,
    body: {
      ...mapOf(wish, gateway, options.nonce),
      ...suggestionOf(wish, held),
      preferFailure: options.preferFailure,
    },
  };
}

/** §15.1: the nonce says which; what is suggested is ignored. */
export function pcpUnmapRequest(wish: MappingWish, held: Grant, gateway: Gateway): PcpRequest {
  const { externalPort, externalAddress } = suggestionOf(wish, held);
  return {
    lifetimeSec: 0,
    clientAddress: gateway.ownAddress,
    body: { ...mapOf(wish, gateway, held.ticket), externalPort, externalAddress },
  };
}

function mapOf({ protocol, internalAddress, internalPort }: MappingWish, gateway: Gateway, nonce: string): PcpMap {
  return {
    opcode: "map",
    nonce,
    protocol: PcpProtocol[protocol],
    internalPort,
    externalPort: 0,
    externalAddress: ANY_IPV4,
    // §13.1: only for another host; for oneself it is an error.
    thirdParty: isSameAddress(internalAddress, gateway.ownAddress) ? null : internalAddress,
    preferFailure: false,
    filters: [],
  };
}

function suggestionOf(wish: MappingWish, held: Grant | null): Pick<PcpMap, "externalPort" | "externalAddress"> {
  // A pinhole: nothing is translated.
  if (isIpv6(wish.internalAddress)) {
    return { externalPort: wish.internalPort, externalAddress: wish.internalAddress };
  }
  // With an address, PREFER_FAILURE would fail when that has changed, and the port is free all the same (§13.2).
  const externalAddress = isExact(wish) ? ANY_IPV4 : (held?.externalAddress ?? ANY_IPV4);
  return { externalPort: suggestedPort(wish, held), externalAddress };
}

/** The external port that the wish is for, and no other; null = any. */
export function onlyPort(wish: MappingWish): number | null {
  if (isIpv6(wish.internalAddress)) return wish.internalPort;
  return isExact(wish) ? wish.externalPort : null;
}

/** The external port may be another than the wish's. */
export function pcpGrant(response: PcpResponse, gateway: Gateway): Result<Grant, RouterFailure> {
  if (response.kind !== "success" || response.body.opcode !== "map") return err(pcpRefusal(response, gateway));
  const { lifetimeSec, body } = response;
  if (body.externalPort === 0 || lifetimeSec === 0) return err(garbled(gateway, PCP));
  const isAddress = body.externalAddress !== ANY_IPV4 && body.externalAddress !== "::";
  const externalAddress = isAddress ? body.externalAddress : null;
  return ok({ externalAddress, externalPort: body.externalPort, lifetimeSec, ticket: body.nonce });
}

export function pcpUnmapped(response: PcpResponse, gateway: Gateway): Result<null, RouterFailure> {
  if (response.kind === "success") return ok(null);
  // §15.1 asks for a success when there is nothing to delete; miniupnpd 2.3.1 says that it has no resources.
  if (response.kind === "refused" && response.result === PcpResult.noResources) return ok(null);
  return err(pcpRefusal(response, gateway));
}

/** Whether the server knows neither PREFER_FAILURE nor another option of the request. */
export function refusesOption(response: PcpResponse): boolean {
  return response.kind === "refused" && response.result === PcpResult.unsupportedOption;
}

/** A refused THIRD_PARTY, in words that say what to do. */
export function noThirdParty(wish: MappingWish, gateway: Gateway, failure: RouterFailure): RouterFailure {
  const message = `The router at ${gateway.address} opens no ports by PCP for ${wish.internalAddress} when ${gateway.ownAddress} asks; run Hatchway on ${wish.internalAddress}, or use UPnP.`;
  return { ...failure, message };
}

/** Whether the answer to a first question shows a router that opens ports by PCP; null = it does. */
export function whyNoPcp(response: PcpResponse, gateway: Gateway): RouterFailure | null {
  if (response.kind === "success") return null;
  if (response.kind === "unsupported-version") return pcpRefusal(response, gateway);
  switch (response.result) {
    case PcpResult.notAuthorized:
    case PcpResult.addressMismatch:
      return pcpRefusal(response, gateway);
    default:
      // ANNOUNCE itself is not known everywhere, and what is wrong now need not be later.
      return null;
  }
}

function pcpRefusal(response: PcpResponse, gateway: Gateway): RouterFailure {
  switch (response.kind) {
    case "refused":
      return pcpFailure(response.result, response.lifetimeSec, gateway);
    case "unsupported-version":
      return notSpoken(gateway, PCP, PcpResult.unsupportedVersion);
    case "success":
      return garbled(gateway, PCP);
    default:
      return response satisfies never;
  }
}
