import type { Protocol } from "../../wire/port-set.ts";
import type { RouterFailure, RouterFailureKind } from "./model.ts";

/** What a router answered instead of doing it: UPnP's code, null = it gave none, and its own words. */
export interface IgdFault {
  readonly code: number | null;
  readonly description: string;
}

/**
 * UPnP Device Architecture 1.1 §3.2.2, WANIPConnection:2 §2.5 and, from 701 to 709, WANIPv6FirewallControl:1 §2.5. The
 * names are what a client has to do with them.
 */
export const FAULT = {
  invalidAction: 401,
  invalidArgs: 402,
  actionFailed: 501,
  argumentInvalid: 600,
  argumentOutOfRange: 601,
  notImplemented: 602,
  outOfMemory: 603,
  notAuthorized: 606,
  pinholeSpaceExhausted: 701,
  firewallDisabled: 702,
  inboundPinholeNotAllowed: 703,
  noSuchPinhole: 704,
  noPacketSent: 709,
  indexInvalid: 713,
  noSuchEntry: 714,
  externalWildcardNotPermitted: 716,
  conflict: 718,
  samePortRequired: 724,
  onlyPermanentLeases: 725,
  onlyWildcardRemote: 726,
  onlyWildcardExternal: 727,
  noPortMapsAvailable: 728,
  conflictWithOtherMechanisms: 729,
  notFound: 730,
  internalWildcardNotPermitted: 732,
} as const;

/** The router does not have this action, whatever else it can. */
export function isMissingAction({ code }: IgdFault): boolean {
  return code === FAULT.invalidAction || code === FAULT.notImplemented;
}

interface Meaning {
  readonly kind: RouterFailureKind;
  readonly message: string;
}

/** Why a router made no mapping. */
export function mappingFailure(fault: IgdFault, port: { readonly protocol: Protocol; readonly externalPort: number }) {
  return failure(fault, mappingMeaning(fault, `${port.externalPort}/${port.protocol}`));
}

function mappingMeaning(fault: IgdFault, port: string): Meaning | null {
  switch (fault.code) {
    case FAULT.conflict:
    case FAULT.actionFailed:
      return { kind: "conflict", message: `The router gives port ${port} to another host; ask for another port.` };
    case FAULT.conflictWithOtherMechanisms:
      return {
        kind: "conflict",
        message: `The router uses port ${port} itself, or a rule of its own pages does; ask for another port.`,
      };
    case FAULT.samePortRequired:
      return {
        kind: "conflict",
        message: `The router keeps port numbers: ask for the same port outside as inside, not for ${port}.`,
      };
    case FAULT.notAuthorized:
      return {
        kind: "refused",
        message: `The router does not permit port ${port}: many permit only ports from 1024 on, and only to the host that asks.`,
      };
    case FAULT.noPortMapsAvailable:
    case FAULT.outOfMemory:
      return { kind: "exhausted", message: "The router has no room for more mappings; delete some that are not used." };
    case FAULT.onlyWildcardExternal:
      return {
        kind: "refused",
        message: "The router forwards all ports or none by UPnP, which is too many; forward the port on its own page.",
      };
    case FAULT.invalidArgs:
    case FAULT.argumentInvalid:
    case FAULT.argumentOutOfRange:
      return { kind: "refused", message: `The router calls the request for port ${port} invalid.` };
    default:
      return null;
  }
}

/** Why a router made no pinhole. */
export function pinholeFailure(fault: IgdFault): RouterFailure {
  return failure(fault, pinholeMeaning(fault));
}

function pinholeMeaning({ code }: IgdFault): Meaning | null {
  switch (code) {
    case FAULT.pinholeSpaceExhausted:
    case FAULT.outOfMemory:
      return { kind: "exhausted", message: "The router has no room for more pinholes; delete some that are not used." };
    case FAULT.firewallDisabled:
      return { kind: "unsupported", message: FIREWALL_OFF };
    case FAULT.inboundPinholeNotAllowed:
      return { kind: "refused", message: PINHOLES_NOT_ALLOWED };
    case FAULT.notAuthorized:
      return {
        kind: "refused",
        message:
          "The router does not permit this pinhole: many permit it only to the IPv6 address that asks, and only for ports from 1024 on.",
      };
    default:
      return null;
  }
}

export const FIREWALL_OFF =
  "The router's IPv6 firewall is off: it lets everything through, and there is nothing to open.";
export const PINHOLES_NOT_ALLOWED =
  "The router's settings allow no pinholes; allow them on its own page, or open the port there.";

/** For any other action. */
export function otherFailure(fault: IgdFault): RouterFailure {
  return failure(fault, null);
}

function failure(fault: IgdFault, meaning: Meaning | null): RouterFailure {
  if (meaning !== null) return { ...meaning, code: fault.code };
  if (isMissingAction(fault)) {
    return { kind: "unsupported", code: fault.code, message: "The router does not know this request." };
  }
  if (fault.code === FAULT.notAuthorized) {
    return { kind: "refused", code: fault.code, message: "The router does not permit this." };
  }
  const words = fault.description === "" ? "" : ` (${fault.description})`;
  const code = fault.code === null ? "without a code" : `${fault.code}`;
  return { kind: "refused", code: fault.code, message: `The router refused with error ${code}${words}.` };
}
