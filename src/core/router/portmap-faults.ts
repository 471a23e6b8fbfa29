import { NatPmpResult } from "../../wire/natpmp.ts";
import { PcpResult } from "../../wire/pcp/message.ts";
import type { Gateway, RouterFailure, RouterFailureKind } from "./model.ts";

/** RFC 6887 §7.4: the longest that a server asks to be left alone; one that says more is not believed. */
const MAX_RETRY_AFTER_SEC = 30 * 60;

export function routerFailure(kind: RouterFailureKind, code: number | null, message: string): RouterFailure {
  return { kind, code, message };
}

export function silent({ address }: Gateway, protocol: string): RouterFailure {
  return routerFailure(
    "silent",
    null,
    `The router at ${address} does not answer ${protocol}; turn it on in the router's settings.`,
  );
}

export function closed({ address }: Gateway): RouterFailure {
  const message = `The router at ${address} speaks neither PCP nor NAT-PMP; turn one of them on in its settings.`;
  return routerFailure("closed", null, message);
}

export function garbled({ address }: Gateway, protocol: string): RouterFailure {
  const message = `The router at ${address} answers by ${protocol} what makes no sense; restart it, or look for newer software for it.`;
  return routerFailure("garbled", null, message);
}

export function notSpoken({ address }: Gateway, protocol: string, code: number | null): RouterFailure {
  return routerFailure("unsupported", code, `The router at ${address} does not speak ${protocol}.`);
}

export function otherPort({ address }: Gateway, wanted: number): RouterFailure {
  const message = `Port ${wanted} of the router at ${address} is taken; choose another one, or free it in the router's settings.`;
  return routerFailure("conflict", null, message);
}

/** A NatPmpResult other than success, or a number of the router's own. */
export function natPmpFailure(code: number, { address }: Gateway): RouterFailure {
  switch (code) {
    case NatPmpResult.unsupportedVersion:
    case NatPmpResult.unsupportedOpcode:
      return routerFailure("unsupported", code, `The router at ${address} does not open ports by NAT-PMP.`);
    case NatPmpResult.networkFailure:
      return noUplink(address, code);
    case NatPmpResult.outOfResources:
      return exhausted(address, code);
    case NatPmpResult.notAuthorized:
      return refused(address, "NAT-PMP", code);
    default:
      return refused(address, "NAT-PMP", code, ` (code ${code})`);
  }
}

/** A PcpResult other than success, or one registered later; `lifetimeSec` as it came with it. */
export function pcpFailure(code: number, lifetimeSec: number, gateway: Gateway): RouterFailure {
  const failure = pcpFailureOf(code, gateway);
  // Some send 0 (miniupnpd, with all that it will refuse again), which says nothing.
  if (lifetimeSec === 0) return failure;
  return { ...failure, retryAfterSec: Math.min(lifetimeSec, MAX_RETRY_AFTER_SEC) };
}

function pcpFailureOf(code: number, gateway: Gateway): RouterFailure {
  const { address } = gateway;
  switch (code) {
    case PcpResult.unsupportedVersion:
    case PcpResult.unsupportedOpcode:
    case PcpResult.unsupportedOption:
    case PcpResult.unsupportedProtocol:
      return routerFailure("unsupported", code, `The router at ${address} cannot do this by PCP.`);
    case PcpResult.notAuthorized:
      return refused(address, "PCP", code);
    case PcpResult.malformedRequest:
    case PcpResult.malformedOption: {
      const message = `The router at ${address} does not understand a request of PCP; look for newer software for it.`;
      return routerFailure("garbled", code, message);
    }
    case PcpResult.networkFailure:
      return noUplink(address, code);
    case PcpResult.noResources:
    case PcpResult.userExceededQuota:
    case PcpResult.excessiveRemotePeers:
      return exhausted(address, code);
    case PcpResult.cannotProvideExternal: {
      const message = `That port of the router at ${address} is taken, or it hands it out to nobody; choose another one.`;
      return routerFailure("conflict", code, message);
    }
    case PcpResult.addressMismatch: {
      // Not `refused`: NAT-PMP has no such check, and may do.
      const message = `The router at ${address} sees another address than this machine has (${gateway.ownAddress}): look for another NAT between them.`;
      return routerFailure("unsupported", code, message);
    }
    default:
      return refused(address, "PCP", code, ` (code ${code})`);
  }
}

function refused(address: string, protocol: string, code: number, detail = ""): RouterFailure {
  const message = `The router at ${address} does not allow this by ${protocol}${detail}; allow it in the router's settings, or choose another port.`;
  return routerFailure("refused", code, message);
}

function exhausted(address: string, code: number): RouterFailure {
  const message = `The router at ${address} has no room for another port; remove some in its settings.`;
  return routerFailure("exhausted", code, message);
}

function noUplink(address: string, code: number): RouterFailure {
  const message = `The router at ${address} has no connection to the internet now; look at its line.`;
  return routerFailure("no-uplink", code, message);
}
