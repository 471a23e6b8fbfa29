/**
 * The errors of UPnP actions, ours and those of routers, with the descriptions as the standards spell them: UPnP Device Architecture 1.1 §3,
 * WANIPConnection:2 and, from 701 to 709, WANIPv6FirewallControl:1 (WANIPConnection uses some of these for dialling).
 */
export const UPNP_ERRORS = {
  invalidAction: { code: 401, description: "Invalid Action" },
  invalidArgs: { code: 402, description: "Invalid Args" },
  actionFailed: { code: 501, description: "Action Failed" },
  argumentValueInvalid: { code: 600, description: "Argument Value Invalid" },
  argumentValueOutOfRange: { code: 601, description: "Argument Value Out of Range" },
  optionalActionNotImplemented: { code: 602, description: "Optional Action Not Implemented" },
  outOfMemory: { code: 603, description: "Out of Memory" },
  actionNotAuthorized: { code: 606, description: "Action not authorized" },

  pinholeSpaceExhausted: { code: 701, description: "PinholeSpaceExhausted" },
  firewallDisabled: { code: 702, description: "FirewallDisabled" },
  inboundPinholeNotAllowed: { code: 703, description: "InboundPinholeNotAllowed" },
  noSuchEntry: { code: 704, description: "NoSuchEntry" },
  protocolNotSupported: { code: 705, description: "ProtocolNotSupported" },
  internalPortWildcardingNotAllowed: { code: 706, description: "InternalPortWildcardingNotAllowed" },
  protocolWildcardingNotAllowed: { code: 707, description: "ProtocolWildcardingNotAllowed" },
  wildCardNotPermittedInSrcIp: { code: 708, description: "WildCardNotPermittedInSrcIP" },
  noPacketSent: { code: 709, description: "NoPacketSent" },

  specifiedArrayIndexInvalid: { code: 713, description: "SpecifiedArrayIndexInvalid" },
  noSuchEntryInArray: { code: 714, description: "NoSuchEntryInArray" },
  wildCardNotPermittedInExtPort: { code: 716, description: "WildCardNotPermittedInExtPort" },
  conflictInMappingEntry: { code: 718, description: "ConflictInMappingEntry" },
  samePortValuesRequired: { code: 724, description: "SamePortValuesRequired" },
  onlyPermanentLeasesSupported: { code: 725, description: "OnlyPermanentLeasesSupported" },
  remoteHostOnlySupportsWildcard: { code: 726, description: "RemoteHostOnlySupportsWildcard" },
  externalPortOnlySupportsWildcard: { code: 727, description: "ExternalPortOnlySupportsWildcard" },
  noPortMapsAvailable: { code: 728, description: "NoPortMapsAvailable" },
  conflictWithOtherMechanisms: { code: 729, description: "ConflictWithOtherMechanisms" },
  portMappingNotFound: { code: 730, description: "PortMappingNotFound" },
  readOnly: { code: 731, description: "ReadOnly" },
  wildCardNotPermittedInIntPort: { code: 732, description: "WildCardNotPermittedInIntPort" },
  inconsistentParameters: { code: 733, description: "InconsistentParameters" },
} as const;

export type UpnpErrorName = keyof typeof UPNP_ERRORS;

/** The codes alone. */
export const UPNP_CODE = Object.fromEntries(Object.entries(UPNP_ERRORS).map(([name, { code }]) => [name, code])) as {
  readonly [Name in UpnpErrorName]: (typeof UPNP_ERRORS)[Name]["code"];
};
