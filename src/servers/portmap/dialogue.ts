import { isIpv6 } from "../../wire/address.ts";
import { mappingProtocolOf } from "../../wire/natpmp.ts";
import { answerNatPmp } from "./natpmp-dialogue.ts";
import { answerPcp } from "./pcp-dialogue.ts";
import { type DeskView, type PortMapRules, type Reply, SILENCE } from "./reply.ts";

/**
 * What to do with a datagram of `requester` (canonical text). A protocol that is off leaves its datagrams to the other,
 * which answers that it does not speak that version: so clients find out which one to use (RFC 6887 §9, appendix A).
 * NAT-PMP is of IPv4 alone (RFC 6886 §3).
 */
export function answerDatagram(datagram: Uint8Array, requester: string, desk: DeskView, rules: PortMapRules): Reply {
  const natPmp = rules.natPmp && !isIpv6(requester);
  if (natPmp && (!rules.pcp || mappingProtocolOf(datagram) === "nat-pmp")) {
    return answerNatPmp(datagram, requester, desk);
  }
  return rules.pcp ? answerPcp(datagram, requester, desk, rules.thirdParty) : SILENCE;
}
