import type { MappingInfo, RemotePeer } from "../../core/mapping/desk.ts";
import { classifyAddress, isIpv6, parseCidr } from "../../wire/address.ts";
import type { PcpMap, PcpPeer } from "../../wire/pcp/message.ts";

/** How many remote peers a mapping may have: a request holds 43 filters at most, and renewals add more. */
export const MAX_REMOTES = 64;

/**
 * Who may use the mapping that a MAP asks for, empty = everybody; null = not what this gateway can do. Filters add to
 * those that the mapping has already, in the order of the request, and prefix length 0 forgets all so far (RFC 6887
 * §13.3). A renewal that names none leaves them as they are: nothing opens without a word.
 */
export function remotesOfMap(
  body: PcpMap,
  existing: MappingInfo | null,
  internal: string,
): readonly RemotePeer[] | null {
  let remotes = existing?.remotes ?? [];
  for (const { remote, remotePort } of body.filters) {
    if (remote === null) remotes = [];
    else if (isIpv6(remote) !== isIpv6(internal)) return null;
    else remotes = withRemote(remotes, { network: remote, port: remotePort === 0 ? null : remotePort });
  }
  return remotes.length > MAX_REMOTES ? null : remotes;
}

/**
 * The same for a PEER: its remote peer, beside those who may use the mapping already. A mapping that is open to
 * everybody stays so (§12: PEER never takes anything from a mapping). Null = that peer cannot be.
 */
export function remotesOfPeer(
  body: PcpPeer,
  existing: MappingInfo | null,
  internal: string,
): readonly RemotePeer[] | null {
  const { remoteAddress, remotePort } = body;
  const place = classifyAddress(remoteAddress);
  const network = parseCidr(remoteAddress);
  if (!network.ok || place === "unspecified" || place === "multicast" || isIpv6(remoteAddress) !== isIpv6(internal)) {
    return null;
  }
  if (existing !== null && existing.remotes.length === 0) return [];
  const remotes = withRemote(existing?.remotes ?? [], { network: network.value, port: remotePort });
  return remotes.length > MAX_REMOTES ? null : remotes;
}

function withRemote(remotes: readonly RemotePeer[], added: RemotePeer): readonly RemotePeer[] {
  const known = remotes.some(({ network, port }) => network === added.network && port === added.port);
  return known ? remotes : [...remotes, added];
}
