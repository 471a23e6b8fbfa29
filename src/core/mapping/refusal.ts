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

/** RFC 6886 §3.5. */
const NAT_PMP = { notAuthorized: 2, outOfResources: 4 } as const;

/** RFC 6887 §7.4. */
const PCP = {
  notAuthorized: 2,
  malformedRequest: 3,
  unsuppOption: 5,
  noResources: 8,
  unsuppProtocol: 9,
  userExQuota: 10,
  cannotProvideExternal: 11,
  addressMismatch: 12,
} as const;

/** WANIPConnection:1 §2.4.16 (AddPortMapping), but for 606: there it is a common action error (WANIPConnection:2 lists it). */
const IGD1 = {
  invalidArgs: 402,
  actionFailed: 501,
  actionNotAuthorized: 606,
  wildcardNotPermittedInExtPort: 716,
  conflictInMappingEntry: 718,
} as const;

/** WANIPConnection:2 §2.5.16 (AddPortMapping) and §2.5.17 (AddAnyPortMapping) have these besides. */
const IGD2 = {
  ...IGD1,
  noPortMapsAvailable: 728,
  conflictWithOtherMechanisms: 729,
  wildcardNotPermittedInIntPort: 732,
} as const;

interface RefusalCodes {
  readonly natPmp: number;
  readonly pcp: number;
  readonly igd1: number;
  readonly igd2: number;
}

/**
 * Each refusal in each protocol's codes. A row that a protocol cannot meet has its nearest code, so that no refusal is
 * ever without an answer. IGDv1 has fewer codes; where another external port may do it says 718, because that and 501
 * are what its clients answer with another port (40000-49999).
 */
export const REFUSAL_CODES: Readonly<Record<MappingRefusalKind, RefusalCodes>> = {
  // RFC 6887 §8.2: the address in the header against the source of the packet. Only PCP has such a field.
  addressMismatch: codes(NAT_PMP.notAuthorized, PCP.addressMismatch, IGD1.actionNotAuthorized),
  // RFC 6887 §13.1: a server that does not do THIRD_PARTY answers UNSUPP_OPTION. NAT-PMP cannot ask for it (§3.3).
  otherHost: codes(NAT_PMP.notAuthorized, PCP.unsuppOption, IGD1.actionNotAuthorized),
  notInside: codes(NAT_PMP.notAuthorized, PCP.notAuthorized, IGD1.actionNotAuthorized),
  notPermitted: {
    ...codes(NAT_PMP.notAuthorized, PCP.notAuthorized, IGD1.conflictInMappingEntry),
    igd2: IGD2.actionNotAuthorized,
  },
  // RFC 6887 §13.2: only who insists on one port (PREFER_FAILURE) hears of it; others get another port.
  denied: {
    ...codes(NAT_PMP.notAuthorized, PCP.cannotProvideExternal, IGD1.conflictInMappingEntry),
    igd2: IGD2.actionNotAuthorized,
  },
  reserved: {
    ...codes(NAT_PMP.outOfResources, PCP.cannotProvideExternal, IGD1.conflictInMappingEntry),
    igd2: IGD2.conflictWithOtherMechanisms,
  },
  taken: codes(NAT_PMP.outOfResources, PCP.cannotProvideExternal, IGD1.conflictInMappingEntry),
  noPorts: {
    ...codes(NAT_PMP.outOfResources, PCP.noResources, IGD1.actionFailed),
    igd2: IGD2.noPortMapsAvailable,
  },
  quota: {
    ...codes(NAT_PMP.outOfResources, PCP.userExQuota, IGD1.actionFailed),
    igd2: IGD2.noPortMapsAvailable,
  },
  // RFC 6887 §11.1 and RFC 6886 §3.3: there a suggested port of 0 means any, so only IGD meets this.
  wildcardExternalPort: codes(NAT_PMP.notAuthorized, PCP.cannotProvideExternal, IGD1.wildcardNotPermittedInExtPort),
  // RFC 6887 §11.1: internal port 0 is all ports, which a NAT with one external address does not do (§7.4).
  wildcardInternalPort: {
    ...codes(NAT_PMP.notAuthorized, PCP.unsuppProtocol, IGD1.invalidArgs),
    igd2: IGD2.wildcardNotPermittedInIntPort,
  },
  // RFC 6887 §11.3 and §15.1. Only PCP has nonces.
  otherNonce: codes(NAT_PMP.notAuthorized, PCP.notAuthorized, IGD1.actionNotAuthorized),
  // RFC 6886 §3.4, RFC 6887 §15.1.
  fixedMapping: codes(NAT_PMP.notAuthorized, PCP.notAuthorized, IGD1.actionNotAuthorized),
  // RFC 6887 §11.3: protocol 0 with an internal port.
  malformed: codes(NAT_PMP.notAuthorized, PCP.malformedRequest, IGD1.invalidArgs),
};

function codes(natPmp: number, pcp: number, igd: number): RefusalCodes {
  return { natPmp, pcp, igd1: igd, igd2: igd };
}
