import type { MappingInfo, RemotePeer } from "../../core/mapping/desk.ts";
import type { MappingRefusal, MappingRefusalKind } from "../../core/mapping/refusal.ts";
import { parseCidr } from "../../wire/address.ts";
import type { UpnpErrorName } from "../../wire/igd/upnp-error.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok } from "../../wire/result.ts";
import { type Caller, type CallTo, type Outcome, refuse } from "./gateway.ts";

/** IANA's protocol numbers, as WANIPv6FirewallControl:1 takes them. */
const PROTOCOLS: ReadonlyMap<number, Protocol> = new Map([
  [6, "tcp"],
  [17, "udp"],
]);
const ANY_PROTOCOL = 65_535;

/**
 * The desk's refusals in WANIPv6FirewallControl:1's codes (§2.5, tables of errors). A pinhole has no external port and
 * no nonce over IGD: what is about those has the nearest code, so that no refusal is without an answer.
 */
const PINHOLE_CODES: Readonly<Record<MappingRefusalKind, UpnpErrorName>> = {
  addressMismatch: "actionNotAuthorized",
  otherHost: "actionNotAuthorized",
  notInside: "actionNotAuthorized",
  notPermitted: "actionNotAuthorized",
  denied: "actionNotAuthorized",
  reserved: "actionNotAuthorized",
  taken: "actionFailed",
  noPorts: "pinholeSpaceExhausted",
  quota: "pinholeSpaceExhausted",
  wildcardExternalPort: "actionFailed",
  wildcardInternalPort: "internalPortWildcardingNotAllowed",
  otherNonce: "actionNotAuthorized",
  fixedMapping: "actionNotAuthorized",
  malformed: "invalidArgs",
};

function refused({ kind }: MappingRefusal) {
  return refuse(PINHOLE_CODES[kind]);
}

export async function addPinhole(
  { args }: CallTo<"AddPinhole">,
  { requester, gateway }: Caller,
): Promise<Outcome<CallTo<"AddPinhole">>> {
  if (!gateway.pinholesAllowed) return refuse("inboundPinholeNotAllowed");
  if (args.Protocol === ANY_PROTOCOL) return refuse("protocolWildcardingNotAllowed");
  const protocol = PROTOCOLS.get(args.Protocol);
  if (protocol === undefined) return refuse("protocolNotSupported");
  if (args.InternalPort === 0) return refuse("internalPortWildcardingNotAllowed");
  // §2.5.4: the internal client has no wildcard.
  if (args.InternalClient === null) return refuse("invalidArgs");
  const remotes = remotesOf(args.RemoteHost, args.RemotePort);
  if (remotes === null) return refuse("invalidArgs");
  const pinned = await gateway.desk.pin({
    via: "igd",
    requester,
    claimedAddress: null,
    nonce: null,
    internalAddress: args.InternalClient,
    protocol,
    internalPort: args.InternalPort,
    remotes,
    lifetimeSec: args.LeaseTime,
    description: "",
  });
  return pinned.ok ? ok({ UniqueID: gateway.pinholeNumbers.of(pinned.value.id) }) : refused(pinned.error);
}

/** Every host and one port of it: a network of all hosts. Null = no host's address (see port-mappings). */
function remotesOf(host: string | null, port: number): readonly RemotePeer[] | null {
  if (host === null && port === 0) return [];
  const network = parseCidr(host ?? "::/0");
  return network.ok && host !== "::" ? [{ network: network.value, port: port === 0 ? null : port }] : null;
}

/** The pinhole of that number, if the caller may see it: whose others are is not told. */
function pinholeOf(number: number, { requester, gateway }: Caller): MappingInfo | null {
  return gateway.desk.pinholes(requester).find(({ id }) => gateway.pinholeNumbers.of(id) === number) ?? null;
}

/** A pinhole with the same sides is the same pinhole: asked for again, it lasts as long as now said. */
export async function updatePinhole(
  { args }: CallTo<"UpdatePinhole">,
  caller: Caller,
): Promise<Outcome<CallTo<"UpdatePinhole">>> {
  const pinhole = pinholeOf(args.UniqueID, caller);
  if (pinhole === null) return refuse("noSuchEntry");
  if (pinhole.fixed) return refuse("actionNotAuthorized");
  const { internalAddress, protocol, internalPort, remotes, description, nonce } = pinhole;
  const { requester } = caller;
  // One that PCP made stays PCP's: it has a nonce.
  const renewed = await caller.gateway.desk.pin({
    via: nonce === null ? "igd" : "pcp",
    requester,
    claimedAddress: requester,
    nonce,
    internalAddress,
    protocol,
    internalPort,
    remotes,
    lifetimeSec: args.NewLeaseTime,
    description,
  });
  return renewed.ok ? ok({}) : refused(renewed.error);
}

export async function deletePinhole(
  { args }: CallTo<"DeletePinhole">,
  caller: Caller,
): Promise<Outcome<CallTo<"DeletePinhole">>> {
  const pinhole = pinholeOf(args.UniqueID, caller);
  if (pinhole === null) return refuse("noSuchEntry");
  const refusal = await caller.gateway.desk.unpin(caller.requester, pinhole.id);
  if (refusal !== null) return refused(refusal);
  caller.gateway.pinholeNumbers.forget(pinhole.id);
  return ok({});
}

export async function getPinholePackets(
  { args }: CallTo<"GetPinholePackets">,
  caller: Caller,
): Promise<Outcome<CallTo<"GetPinholePackets">>> {
  const pinhole = pinholeOf(args.UniqueID, caller);
  if (pinhole === null) return refuse("noSuchEntry");
  return ok({ PinholePackets: await caller.gateway.desk.pinholePackets(pinhole.id) });
}

/** §2.5.8: what traffic has passed proves; without any the answer is not known. */
export async function checkPinholeWorking(
  { args }: CallTo<"CheckPinholeWorking">,
  caller: Caller,
): Promise<Outcome<CallTo<"CheckPinholeWorking">>> {
  const pinhole = pinholeOf(args.UniqueID, caller);
  if (pinhole === null) return refuse("noSuchEntry");
  const packets = await caller.gateway.desk.pinholePackets(pinhole.id);
  return packets > 0 ? ok({ IsWorking: true }) : refuse("noPacketSent");
}

/** §2.5.2: how long an outbound flow may be silent before its answers are dropped. */
export function getOutboundPinholeTimeout(
  { args }: CallTo<"GetOutboundPinholeTimeout">,
  { gateway }: Caller,
): Outcome<CallTo<"GetOutboundPinholeTimeout">> {
  if (args.Protocol === ANY_PROTOCOL) return refuse("protocolWildcardingNotAllowed");
  const protocol = PROTOCOLS.get(args.Protocol);
  if (protocol === undefined) return refuse("protocolNotSupported");
  return ok({ OutboundPinholeTimeout: gateway.outboundTimeoutSec[protocol] });
}

export function getFirewallStatus({ gateway }: Caller): Outcome<CallTo<"GetFirewallStatus">> {
  return ok({ FirewallEnabled: true, InboundPinholeAllowed: gateway.pinholesAllowed });
}
