import type { MapAsk, MappingInfo, RemotePeer } from "../../core/mapping/desk.ts";
import { grantedLifetimeSec, PCP_LIFETIME, pcpErrorLifetimeSec } from "../../core/mapping/lifetime.ts";
import { REFUSAL_CODES } from "../../core/mapping/refusal.ts";
import { classifyAddress, isIpv6 } from "../../wire/address.ts";
import { type PcpBody, type PcpMap, type PcpPeer, PcpProtocol, PcpResult } from "../../wire/pcp/message.ts";
import { decodePcpRequest, type PcpRefusal, type PcpRequest } from "../../wire/pcp/request.ts";
import { encodePcpRefusal, encodePcpSuccess } from "../../wire/pcp/response.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { remotesOfMap, remotesOfPeer } from "./pcp-remotes.ts";
import { answerNow, type DeskView, type Reply, SILENCE } from "./reply.ts";

type Failure = PcpRefusal["result"];

/** One request that was understood, and all that its answers need. */
interface Asked {
  readonly datagram: Uint8Array;
  readonly request: PcpRequest;
  readonly requester: string;
  readonly desk: DeskView;
}

/** What MAP and PEER have in common once they are known to make sense. */
interface Wanted {
  readonly body: PcpMap | PcpPeer;
  readonly internal: string;
  readonly protocol: Protocol;
  readonly existing: MappingInfo | null;
  readonly remotes: readonly RemotePeer[];
  /** Null = permanent, as the mapping that a PEER finds may be. */
  readonly lifetimeSec: number | null;
  /** In the answer. */
  readonly toldSec: number;
  /** Rather nothing than another external port or address: PREFER_FAILURE, and every PEER that suggests one (§12.1). */
  readonly insists: boolean;
}

/** A PCP request of `requester` (RFC 6887 §8.2, in its order). */
export function answerPcp(datagram: Uint8Array, requester: string, desk: DeskView, thirdParty: boolean): Reply {
  const decoded = decodePcpRequest(datagram);
  if (!decoded.ok) {
    if (decoded.error.kind !== "refusal") return SILENCE;
    return answerNow(encodePcpRefusal(decoded.error, errorTimes(decoded.error.result, null, desk)));
  }
  const asked: Asked = { datagram, request: decoded.value, requester, desk };
  const { body, clientAddress } = decoded.value;
  if (clientAddress !== requester) return refuse(asked, PcpResult.addressMismatch);
  if (body.opcode === "announce") return answerNow(announceAnswer(desk));
  if (body.thirdParty !== null) {
    if (!thirdParty) return refuse(asked, PcpResult.unsupportedOption);
    if (body.thirdParty === requester) return refuse(asked, PcpResult.malformedRequest);
  }
  return body.opcode === "map" ? answerMap(asked, body) : answerPeer(asked, body);
}

/** §14.1: the answer to an ANNOUNCE, and the announcement that nobody asked for. */
export function announceAnswer(desk: DeskView): Uint8Array {
  return success({ opcode: "announce" }, 0, desk);
}

function answerMap(asked: Asked, body: PcpMap): Reply {
  const { request, requester } = asked;
  const internal = body.thirdParty ?? requester;
  const lifetimeSec = grantedLifetimeSec(request.lifetimeSec, PCP_LIFETIME);
  if (lifetimeSec === null) return answerDelete(asked, body, internal);
  const protocol = protocolOf(body);
  // All ports at once is what a gateway with one external address does not do (§11.1, 7.4).
  if (protocol === null || body.internalPort === 0) return refuse(asked, PcpResult.unsupportedProtocol);
  const existing = mappingOf(asked, protocol, internal, body.internalPort);
  const remotes = remotesOfMap(body, existing, internal);
  if (remotes === null) return refuse(asked, PcpResult.excessiveRemotePeers);
  const insists = body.preferFailure;
  return make(asked, { body, internal, protocol, existing, remotes, lifetimeSec, toldSec: lifetimeSec, insists });
}

function answerDelete(asked: Asked, body: PcpMap, internalAddress: string): Reply {
  const { requester, desk } = asked;
  // §13.3.
  if (body.filters.length > 0) return refuse(asked, PcpResult.malformedOption);
  const protocol = protocolOf(body);
  if (protocol === null && body.protocol !== PcpProtocol.all) return refuse(asked, PcpResult.unsupportedProtocol);
  const { internalPort, nonce } = body;
  return {
    kind: "unmap",
    request: { requester, internalAddress, request: { via: "pcp", protocol, internalPort, nonce } },
    done: () => success(body, 0, desk),
    ...refusals(asked),
  };
}

/**
 * §12, as a mapping that lets only the remote peer in. It never shortens or deletes one (§12.1), so lifetime 0 asks for
 * as little as there is.
 */
function answerPeer(asked: Asked, body: PcpPeer): Reply {
  const { request, requester } = asked;
  const internal = body.thirdParty ?? requester;
  // §12.1.
  if (body.protocol === PcpProtocol.all || body.internalPort === 0 || body.remotePort === 0) {
    return refuse(asked, PcpResult.malformedRequest);
  }
  const protocol = protocolOf(body);
  if (protocol === null) return refuse(asked, PcpResult.unsupportedProtocol);
  const existing = mappingOf(asked, protocol, internal, body.internalPort);
  const remotes = remotesOfPeer(body, existing, internal);
  // Result 13 is for FILTER alone (§7.4).
  if (remotes === null) return refuse(asked, PcpResult.malformedRequest);
  const grantedSec = grantedLifetimeSec(Math.max(1, request.lifetimeSec), PCP_LIFETIME) ?? PCP_LIFETIME.minSec;
  const leftSec = existing === null ? 0 : existing.remainingSec;
  const lifetimeSec = leftSec === null ? null : Math.max(grantedSec, Math.ceil(leftSec));
  const insists = body.externalPort !== 0 || isSpecified(body.externalAddress);
  return make(asked, { body, internal, protocol, existing, remotes, lifetimeSec, toldSec: grantedSec, insists });
}

function make(asked: Asked, wanted: Wanted): Reply {
  return isIpv6(wanted.internal) ? makePinhole(asked, wanted) : makeMapping(asked, wanted);
}

function makeMapping(asked: Asked, wanted: Wanted): Reply {
  const { request, requester, desk } = asked;
  const { body, internal, protocol, remotes, lifetimeSec, toldSec, insists } = wanted;
  const external = desk.externalAddress();
  if (external === null) return refuse(asked, PcpResult.networkFailure);
  if (insists && isSpecified(body.externalAddress) && body.externalAddress !== external) {
    return refuse(asked, PcpResult.cannotProvideExternal);
  }
  const { nonce, internalPort, externalPort } = body;
  const ask: MapAsk = {
    ask: { via: "pcp", claimedAddress: request.clientAddress, preferFailure: insists && externalPort !== 0, nonce },
    requester,
    internalAddress: internal,
    protocol,
    internalPort,
    externalPort,
    lifetimeSec,
    description: "",
    remotes,
    enabled: true,
  };
  const { failed, refused } = refusals(asked);
  return {
    kind: "map",
    ask,
    done: (info) => {
      // It may have gone while the desk was at work; the client then asks again, and finds its mapping.
      const externalAddress = desk.externalAddress();
      if (externalAddress === null) return refusal(asked, PcpResult.networkFailure, null);
      return success({ ...body, externalPort: info.externalPort, externalAddress }, toldSec, desk);
    },
    refused,
    failed,
  };
}

/** IPv6: nothing is translated, so outside and inside are the same (§11.3 of a firewall). */
function makePinhole(asked: Asked, wanted: Wanted): Reply {
  const { request, requester, desk } = asked;
  const { body, internal, protocol, remotes, lifetimeSec, toldSec, insists } = wanted;
  const { nonce, internalPort, externalPort, externalAddress } = body;
  const otherPort = externalPort !== 0 && externalPort !== internalPort;
  const otherAddress = isSpecified(externalAddress) && externalAddress !== internal;
  if (insists && (otherPort || otherAddress)) return refuse(asked, PcpResult.cannotProvideExternal);
  return {
    kind: "pin",
    ask: {
      via: "pcp",
      requester,
      claimedAddress: request.clientAddress,
      nonce,
      internalAddress: internal,
      protocol,
      internalPort,
      remotes,
      lifetimeSec: lifetimeSec ?? PCP_LIFETIME.maxSec,
      description: "",
    },
    done: () => success({ ...body, externalPort: internalPort, externalAddress: internal }, toldSec, desk),
    ...refusals(asked),
  };
}

/** What the client's port has now, if anything. */
function mappingOf({ requester, desk }: Asked, protocol: Protocol, internal: string, port: number): MappingInfo | null {
  const all = isIpv6(internal) ? desk.pinholes(requester) : desk.list(requester);
  // A port may have pinholes of IGD's beside PCP's, which alone has a nonce; a mapping is whoever asks for it again.
  const isMeant = (one: MappingInfo) =>
    one.protocol === protocol &&
    one.internalAddress === internal &&
    one.internalPort === port &&
    (one.nonce !== null || !isIpv6(internal));
  return all.find(isMeant) ?? null;
}

function protocolOf({ protocol }: PcpMap | PcpPeer): Protocol | null {
  if (protocol === PcpProtocol.tcp) return "tcp";
  return protocol === PcpProtocol.udp ? "udp" : null;
}

/** §5: the all-zeros address of either family is no suggestion. */
function isSpecified(address: string): boolean {
  return classifyAddress(address) !== "unspecified";
}

// ---- answers ----

function refusals(asked: Asked) {
  return {
    refused: ({
      kind,
      heldForSec,
    }: {
      readonly kind: keyof typeof REFUSAL_CODES;
      readonly heldForSec: number | null;
    }) => refusal(asked, asFailure(REFUSAL_CODES[kind].pcp), heldForSec),
    // §7.4: a short error, after which the client asks again.
    failed: () => refusal(asked, PcpResult.noResources, null),
  };
}

/** No row of REFUSAL_CODES is a success. */
function asFailure(code: (typeof REFUSAL_CODES)[keyof typeof REFUSAL_CODES]["pcp"]): Failure {
  return code === PcpResult.success ? PcpResult.notAuthorized : code;
}

function refuse(asked: Asked, result: Failure): Reply {
  return answerNow(refusal(asked, result, null));
}

function refusal({ datagram, desk }: Asked, result: Failure, heldForSec: number | null): Uint8Array {
  const refused: PcpRefusal = { kind: "refusal", result, request: datagram, parsed: true };
  return encodePcpRefusal(refused, errorTimes(result, heldForSec, desk));
}

function errorTimes(result: Failure, heldForSec: number | null, desk: DeskView) {
  return { lifetimeSec: pcpErrorLifetimeSec(result, heldForSec), epochSec: desk.epochSec() };
}

function success(body: PcpBody, lifetimeSec: number, desk: DeskView): Uint8Array {
  const encoded = encodePcpSuccess({ kind: "success", lifetimeSec, epochSec: desk.epochSec(), body });
  // Everything in it came out of a request, or is an address of this gateway.
  if (!encoded.ok) throw new Error(`A PCP answer cannot be encoded: ${encoded.error.kind}.`);
  return encoded.value;
}
