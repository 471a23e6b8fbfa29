import type { UpnpErrorName } from "../../wire/igd/upnp-error.ts";
import { NatPmpResult, type NatPmpResultCode } from "../../wire/natpmp.ts";
import { PcpResult, type PcpResultCode } from "../../wire/pcp/message.ts";

/**
 * Why a mapping is not made or not deleted. One word for the three protocols that ask; REFUSAL_CODES says it in theirs.
 */
export type MappingRefusalKind =
  /** The packet names another sender than the one it came from: a NAT stands between. */
  | "addressMismatch"
  /** For another host than the one that asks, which this gateway does not allow. */
  | "otherHost"
  /** To or from a host outside the networks served, or the gateway itself. */
  | "notInside"
  /** The permission list refuses it. */
  | "notPermitted"
  /** The operator does not hand out that external port. */
  | "denied"
  /** The gateway, or a forward that no mapping protocol made, needs that external port. */
  | "reserved"
  /** Another mapping has that external port, and no other will do. */
  | "taken"
  /** Every external port that the client may have is taken. */
  | "noPorts"
  /** The client has as many mappings as it may. */
  | "quota"
  | "wildcardExternalPort"
  | "wildcardInternalPort"
  /** The mapping was made by someone who knew another nonce. */
  | "otherNonce"
  /** A delete of a mapping that the operator made. */
  | "fixedMapping"
  /** What was asked contradicts itself. */
  | "malformed";

export interface MappingRefusal {
  readonly kind: MappingRefusalKind;
  /** One sentence for the log and the console; it never goes on the wire. */
  readonly message: string;
}

interface RefusalCodes {
  readonly natPmp: NatPmpResultCode;
  readonly pcp: PcpResultCode;
  readonly igd1: UpnpErrorName;
  readonly igd2: UpnpErrorName;
}

/**
 * Each refusal in each protocol's codes (RFC 6886 §3.5, RFC 6887 §7.4, AddPortMapping and AddAnyPortMapping of
 * WANIPConnection:1 and :2). A row that a protocol cannot meet has its nearest code, so that no refusal is
 * ever without an answer. IGDv1 has fewer codes; where another external port may do it says 718, because that and 501
 * are what its clients answer with another port (40000-49999).
 */
export const REFUSAL_CODES: Readonly<Record<MappingRefusalKind, RefusalCodes>> = {
  // RFC 6887 §8.2: the address in the header against the source of the packet. Only PCP has such a field.
  addressMismatch: codes(NatPmpResult.notAuthorized, PcpResult.addressMismatch, "actionNotAuthorized"),
  // RFC 6887 §13.1: a server that does not do THIRD_PARTY answers UNSUPP_OPTION. NAT-PMP cannot ask for it (§3.3).
  otherHost: codes(NatPmpResult.notAuthorized, PcpResult.unsupportedOption, "actionNotAuthorized"),
  notInside: codes(NatPmpResult.notAuthorized, PcpResult.notAuthorized, "actionNotAuthorized"),
  notPermitted: {
    ...codes(NatPmpResult.notAuthorized, PcpResult.notAuthorized, "conflictInMappingEntry"),
    igd2: "actionNotAuthorized",
  },
  // RFC 6887 §13.2: only who insists on one port (PREFER_FAILURE) hears of it; others get another port.
  denied: {
    ...codes(NatPmpResult.notAuthorized, PcpResult.cannotProvideExternal, "conflictInMappingEntry"),
    igd2: "actionNotAuthorized",
  },
  reserved: {
    ...codes(NatPmpResult.outOfResources, PcpResult.cannotProvideExternal, "conflictInMappingEntry"),
    igd2: "conflictWithOtherMechanisms",
  },
  taken: codes(NatPmpResult.outOfResources, PcpResult.cannotProvideExternal, "conflictInMappingEntry"),
  noPorts: {
    ...codes(NatPmpResult.outOfResources, PcpResult.noResources, "actionFailed"),
    igd2: "noPortMapsAvailable",
  },
  quota: {
    ...codes(NatPmpResult.outOfResources, PcpResult.userExceededQuota, "actionFailed"),
    igd2: "noPortMapsAvailable",
  },
  // RFC 6887 §11.1 and RFC 6886 §3.3: there a suggested port of 0 means any, so only IGD meets this.
  wildcardExternalPort: codes(
    NatPmpResult.notAuthorized,
    PcpResult.cannotProvideExternal,
    "wildCardNotPermittedInExtPort",
  ),
  // RFC 6887 §11.1: internal port 0 is all ports, which a NAT with one external address does not do (§7.4).
  wildcardInternalPort: {
    ...codes(NatPmpResult.notAuthorized, PcpResult.unsupportedProtocol, "invalidArgs"),
    igd2: "wildCardNotPermittedInIntPort",
  },
  // RFC 6887 §11.3 and §15.1. Only PCP has nonces.
  otherNonce: codes(NatPmpResult.notAuthorized, PcpResult.notAuthorized, "actionNotAuthorized"),
  // RFC 6886 §3.4, RFC 6887 §15.1.
  fixedMapping: codes(NatPmpResult.notAuthorized, PcpResult.notAuthorized, "actionNotAuthorized"),
  // RFC 6887 §11.3: protocol 0 with an internal port.
  malformed: codes(NatPmpResult.notAuthorized, PcpResult.malformedRequest, "invalidArgs"),
};

function codes(natPmp: NatPmpResultCode, pcp: PcpResultCode, igd: UpnpErrorName): RefusalCodes {
  return { natPmp, pcp, igd1: igd, igd2: igd };
}
