import { printable } from "../../wire/igd/printable.ts";
import { UPNP_CODE } from "../../wire/igd/upnp-error.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { RouterFailure, RouterFailureKind } from "./model.ts";

/** What a router answered instead of doing it: UPnP's code, null = it gave none, and its own words, as they came. */
export interface IgdFault {
  readonly code: number | null;
  readonly description: string;
}

/** The router does not have this action, whatever else it can. */
export function isMissingAction({ code }: IgdFault): boolean {
  return code === UPNP_CODE.invalidAction || code === UPNP_CODE.optionalActionNotImplemented;
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
    case UPNP_CODE.conflictInMappingEntry:
    case UPNP_CODE.actionFailed:
      return { kind: "conflict", message: `The router gives port ${port} to another host; ask for another port.` };
    case UPNP_CODE.conflictWithOtherMechanisms:
      return {
        kind: "conflict",
        message: `The router uses port ${port} itself, or a rule of its own pages does; ask for another port.`,
      };
    case UPNP_CODE.samePortValuesRequired:
      return {
        kind: "conflict",
        message: `The router keeps port numbers: ask for the same port outside as inside, not for ${port}.`,
      };
    case UPNP_CODE.actionNotAuthorized:
      return {
        kind: "refused",
        message: `The router does not permit port ${port}: many permit only ports from 1024 on, and only to the host that asks.`,
      };
    case UPNP_CODE.noPortMapsAvailable:
    case UPNP_CODE.outOfMemory:
      return { kind: "exhausted", message: "The router has no room for more mappings; delete some that are not used." };
    case UPNP_CODE.externalPortOnlySupportsWildcard:
      return {
        kind: "refused",
        message: "The router forwards all ports or none by UPnP, which is too many; forward the port on its own page.",
      };
    case UPNP_CODE.invalidArgs:
    case UPNP_CODE.argumentValueInvalid:
    case UPNP_CODE.argumentValueOutOfRange:
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
    case UPNP_CODE.pinholeSpaceExhausted:
    case UPNP_CODE.outOfMemory:
      return { kind: "exhausted", message: "The router has no room for more pinholes; delete some that are not used." };
    case UPNP_CODE.firewallDisabled:
      return { kind: "unsupported", message: FIREWALL_OFF };
    case UPNP_CODE.inboundPinholeNotAllowed:
      return { kind: "refused", message: PINHOLES_NOT_ALLOWED };
    case UPNP_CODE.actionNotAuthorized:
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
  if (fault.code === UPNP_CODE.actionNotAuthorized) {
    return { kind: "refused", code: fault.code, message: "The router does not permit this." };
  }
  const said = printable(fault.description);
  const words = said === "" ? "" : ` (${said})`;
  const code = fault.code === null ? "without a code" : `${fault.code}`;
  return { kind: "refused", code: fault.code, message: `The router refused with error ${code}${words}.` };
}
