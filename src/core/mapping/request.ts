import type { CidrSet } from "../../wire/address.ts";
import type { PortSet, Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { ReservedPort } from "../policy.ts";
import { firstInside, intersectSpans, mergeSpans, type PortSpans, spansOf, subtractSpans } from "../port-spans.ts";
import { decide, type PermissionSubject, type Permissions, permittedPorts } from "./permission.ts";
import { formatPermissionRule } from "./permission-rule.ts";
import type { MappingRefusal, MappingRefusalKind } from "./refusal.ts";

/** The protocol that asks, and what it says besides the mapping itself. */
export type MappingAsk =
  | { readonly via: "natPmp" }
  | {
      readonly via: "pcp";
      /** The PCP client's address, as its header says. */
      readonly claimedAddress: string;
      readonly preferFailure: boolean;
      readonly nonce: string;
    }
  | { readonly via: "igd"; readonly action: "AddPortMapping" | "AddAnyPortMapping" };

/** One mapping as a client asks for it. Addresses are canonical text. */
export interface MappingRequest {
  readonly ask: MappingAsk;
  /** Where the packet came from. */
  readonly requester: string;
  /** The host that the mapping leads to: the requester, THIRD_PARTY's address, NewInternalClient. */
  readonly internalAddress: string;
  readonly protocol: Protocol;
  readonly internalPort: number;
  /** What the client suggests, or insists on; 0 = any. */
  readonly externalPort: number;
}

export interface MappingPolicy {
  /** The networks served. */
  readonly inside: CidrSet;
  /** This machine's own addresses: nothing of the gateway itself is ever published by a client. */
  readonly own: ReadonlySet<string>;
  /** A client maps to itself only (UPnProxy injected mappings to others into 45,113 routers). Off: to any host inside. */
  readonly secureMode: boolean;
  readonly permissions: Permissions;
  /** What the gateway itself needs. */
  readonly reserved: readonly ReservedPort[];
  /** Never handed out, whatever the permission list says (abuse: mail, for instance). */
  readonly denied: PortSet;
  /** Absent = no limit. */
  readonly maxPerClient?: number;
  /** What internal port 0 means over NAT-PMP: VPN clients send it for "the external port, whichever that becomes". */
  readonly natPmpPortZero: "refuse" | "sameAsExternal";
  /** RFC 6887 §11.3 to the letter. Off because Tailscale sends a fresh nonce with every request. */
  readonly strictNonce: boolean;
}

/** What has an external port now. */
export interface ExternalHolder {
  /** The host it leads to; null = no mapping of a client, but a forward of the operator's. */
  readonly client: string | null;
  /** As it was asked for. */
  readonly internalPort: number;
  /** Null unless it was made by PCP. */
  readonly nonce: string | null;
}

/** The mappings there are, as this decision needs to see them. */
export interface MappingTable {
  at(protocol: Protocol, externalPort: number): ExternalHolder | null;
  /** The external port that the client's internal port (as it was asked for) has, or had last. */
  portOf(protocol: Protocol, client: string, internalPort: number): number | null;
  /** How many mappings the host has asked for and still has. */
  countOf(requester: string): number;
}

export interface MappingGrant {
  readonly externalPort: number;
  readonly internalPort: number;
  /** It replaces the client's mapping of that external port: renewed, or (IGD) led elsewhere. */
  readonly replaces: boolean;
}

type Decision<T> = Result<T, MappingRefusal>;

/**
 * What becomes of a request: the ports to map, or why not. The same client, protocol and internal port get the same
 * external port again, whatever is suggested (RFC 6886 §3.3, RFC 6887 §11.3); AddPortMapping is the exception, because
 * its key is the external port (WANIPConnection:2 §2.5.16). A suggestion that cannot be had becomes another port,
 * except for who insists: AddPortMapping always, PCP with PREFER_FAILURE (RFC 6887 §13.2).
 */
export function decideMapping(
  request: MappingRequest,
  policy: MappingPolicy,
  table: MappingTable,
): Decision<MappingGrant> {
  const refusal = checkHosts(request, policy) ?? checkWildcards(request, policy);
  if (refusal !== null) return err(refusal);
  const held = heldPort(request, table);
  const exact = insists(request.ask) && request.externalPort !== 0 ? request.externalPort : null;
  if (held !== null) return renew(request, policy, table, held, exact);
  if (exact !== null) return mapExactly(request, policy, table, exact);
  return mapAny(request, policy, table);
}

function checkHosts(request: MappingRequest, policy: MappingPolicy): MappingRefusal | null {
  const { ask, requester, internalAddress } = request;
  if (ask.via === "pcp" && ask.claimedAddress !== requester) {
    return refuse("addressMismatch", `${requester} says that it is ${ask.claimedAddress}: a NAT stands between.`);
  }
  for (const address of hosts(request)) {
    if (!policy.inside.contains(address) || policy.own.has(address)) {
      return refuse("notInside", `${requester} asked for a mapping to ${internalAddress}; ${address} is not a client.`);
    }
  }
  if (policy.secureMode && internalAddress !== requester) {
    return refuse(
      "otherHost",
      `${requester} asked for a mapping to ${internalAddress}; a client may map to itself only.`,
    );
  }
  return null;
}

/** The hosts that have to be allowed what is asked: who gets the traffic, and who asks for it. */
function hosts({ requester, internalAddress }: MappingRequest): readonly string[] {
  return requester === internalAddress ? [requester] : [internalAddress, requester];
}

function checkWildcards(request: MappingRequest, policy: MappingPolicy): MappingRefusal | null {
  if (request.externalPort === 0 && isAddPortMapping(request.ask)) {
    return refuse("wildcardExternalPort", `${request.requester} asked for every external port; it has to name one.`);
  }
  if (request.internalPort === 0 && !(request.ask.via === "natPmp" && policy.natPmpPortZero === "sameAsExternal")) {
    return refuse("wildcardInternalPort", `${request.requester} asked for all of its ports; it has to name one.`);
  }
  return null;
}

function isAddPortMapping(ask: MappingAsk): boolean {
  return ask.via === "igd" && ask.action === "AddPortMapping";
}

function insists(ask: MappingAsk): boolean {
  return ask.via === "pcp" ? ask.preferFailure : isAddPortMapping(ask);
}

/** The external port that the request renews; null when it makes a new mapping. */
function heldPort(request: MappingRequest, table: MappingTable): number | null {
  const { ask, protocol, internalAddress, internalPort, externalPort } = request;
  if (renewsPortZero(request, table)) return externalPort;
  const byExternal = isAddPortMapping(ask);
  const port = byExternal ? externalPort : table.portOf(protocol, internalAddress, internalPort);
  const holder = port === null ? null : table.at(protocol, port);
  if (holder?.client !== internalAddress) return null;
  return byExternal || holder.internalPort === internalPort ? port : null;
}

/**
 * Who asked with internal port 0 may renew by the number that it was given, for both sides (gluetun does): that is its
 * mapping still, and no second one.
 */
function renewsPortZero(
  { ask, protocol, internalAddress, internalPort, externalPort }: MappingRequest,
  table: MappingTable,
): boolean {
  if (ask.via !== "natPmp" || internalPort === 0 || internalPort !== externalPort) return false;
  const holder = table.at(protocol, externalPort);
  return holder !== null && holder.client === internalAddress && holder.internalPort === 0;
}

function renew(
  request: MappingRequest,
  policy: MappingPolicy,
  table: MappingTable,
  held: number,
  exact: number | null,
): Decision<MappingGrant> {
  const { ask, protocol, requester } = request;
  const nonce = table.at(protocol, held)?.nonce ?? null;
  if (policy.strictNonce && ask.via === "pcp" && nonce !== null && nonce !== ask.nonce) {
    return err(refuse("otherNonce", `${requester} renews port ${held}/${protocol} without its nonce.`));
  }
  if (exact !== null && exact !== held) {
    return err(refuse("taken", `${requester} insists on port ${exact}/${protocol}, and has port ${held} for it.`));
  }
  const refusal = checkPort(request, policy, held);
  return refusal === null ? ok(grant(request, held, true)) : err(refusal);
}

function mapExactly(
  request: MappingRequest,
  policy: MappingPolicy,
  table: MappingTable,
  externalPort: number,
): Decision<MappingGrant> {
  const refusal =
    checkPort(request, policy, externalPort) ??
    checkFree(request, table, externalPort) ??
    checkQuota(request, policy, table);
  return refusal === null ? ok(grant(request, externalPort, false)) : err(refusal);
}

function mapAny(request: MappingRequest, policy: MappingPolicy, table: MappingTable): Decision<MappingGrant> {
  const overQuota = checkQuota(request, policy, table);
  if (overQuota !== null) return err(overQuota);
  const { protocol, internalAddress, internalPort, requester } = request;
  const ports = portsFor(request, policy);
  const suggested = request.externalPort === 0 ? internalPort : request.externalPort;
  if (ports.length === 0) {
    const target = internalPort === 0 ? internalAddress : `port ${internalPort} of ${internalAddress}`;
    return err(refuse("notPermitted", `${requester} asked for a ${protocol} port to ${target}: no rule allows one.`));
  }
  // RFC 6886 §3.3 and RFC 6887 §11.3 let the gateway choose: the suggestion, what it had before, what it has for the
  // other protocol (programs that use both announce one number), its own number.
  const companion = table.portOf(otherProtocol(protocol), internalAddress, internalPort);
  const remembered = table.portOf(protocol, internalAddress, internalPort);
  const isFree = (port: number) => table.at(protocol, port) === null && companionHolder(request, table, port) === null;
  for (const port of [request.externalPort, remembered, companion, internalPort]) {
    if (port !== null && firstInside(ports, { first: port, last: port }) !== null && isFree(port)) {
      return ok(grant(request, port, false));
    }
  }
  const port = firstFrom(ports, suggested, isFree);
  if (port !== null) return ok(grant(request, port, false));
  return err(refuse("noPorts", `Every ${protocol} port that ${requester} may have is taken; allow it more ports.`));
}

/** The external ports that the request may have, taken or not. */
function portsFor(request: MappingRequest, policy: MappingPolicy): PortSpans {
  const { protocol } = request;
  const reserved = policy.reserved.filter((one) => one.protocol === protocol);
  const barred = mergeSpans([
    ...spansOf(policy.denied.ranges, protocol),
    ...reserved.map(({ port }) => ({ first: port, last: port })),
  ]);
  const permitted = hosts(request).map((client) => permittedPorts(policy.permissions, subject(request, client)));
  return subtractSpans(permitted.reduce(intersectSpans), barred);
}

/** The first free port at or after `from`, then from the lowest on. */
function firstFrom(ports: PortSpans, from: number, isFree: (port: number) => boolean): number | null {
  const before: PortSpans = from > 1 ? [{ first: 1, last: from - 1 }] : [];
  for (const span of [...subtractSpans(ports, before), ...intersectSpans(ports, before)]) {
    for (let port = span.first; port <= span.last; port++) if (isFree(port)) return port;
  }
  return null;
}

/** Why the client may not have this external port, whoever holds it. */
function checkPort(request: MappingRequest, policy: MappingPolicy, externalPort: number): MappingRefusal | null {
  const { protocol, requester } = request;
  const name = `${externalPort}/${protocol}`;
  const reserved = policy.reserved.find((one) => one.protocol === protocol && one.port === externalPort);
  if (reserved !== undefined) {
    return refuse("reserved", `${requester} asked for port ${name}, which is ${reserved.purpose}.`);
  }
  const denied = spansOf(policy.denied.ranges, protocol);
  if (firstInside(denied, { first: externalPort, last: externalPort }) !== null) {
    return refuse("denied", `${requester} asked for port ${name}, which is not handed out.`);
  }
  for (const client of hosts(request)) {
    const decision = decide(policy.permissions, subject(request, client), externalPort);
    if (decision.ok) continue;
    const rule = decision.error === null ? "no rule allows it" : `refused by "${formatPermissionRule(decision.error)}"`;
    const internalPort = request.internalPort === 0 ? externalPort : request.internalPort;
    return refuse("notPermitted", `${requester} asked for port ${name} to port ${internalPort} of ${client}: ${rule}.`);
  }
  return null;
}

function checkFree(request: MappingRequest, table: MappingTable, externalPort: number): MappingRefusal | null {
  const { protocol, requester } = request;
  const name = `${externalPort}/${protocol}`;
  const holder = table.at(protocol, externalPort);
  if (holder !== null && holder.client === null) {
    return refuse("reserved", `${requester} asked for port ${name}, which a forward of the operator's has.`);
  }
  const client = holder?.client ?? companionHolder(request, table, externalPort);
  return client === null ? null : refuse("taken", `${requester} asked for port ${name}, which belongs to ${client}.`);
}

/**
 * RFC 6886 §3.3: whoever has a port for one protocol has its number reserved for the other. So visitors never reach two
 * hosts by one number. A forward of the operator's reserves nothing: it says both protocols when it means both.
 */
function companionHolder(request: MappingRequest, table: MappingTable, externalPort: number): string | null {
  const holder = table.at(otherProtocol(request.protocol), externalPort);
  return holder === null || holder.client === request.internalAddress ? null : holder.client;
}

function otherProtocol(protocol: Protocol): Protocol {
  return protocol === "tcp" ? "udp" : "tcp";
}

function checkQuota(request: MappingRequest, policy: MappingPolicy, table: MappingTable): MappingRefusal | null {
  const { maxPerClient } = policy;
  if (maxPerClient === undefined || table.countOf(request.requester) < maxPerClient) return null;
  const limit = maxPerClient === 1 ? "1 mapping" : `${maxPerClient} mappings`;
  return refuse("quota", `${request.requester} may have ${limit} and asks for one more.`);
}

function subject(request: MappingRequest, client: string): PermissionSubject {
  const { protocol, internalPort } = request;
  return { protocol, client, internalPort: internalPort === 0 ? null : internalPort };
}

function grant(request: MappingRequest, externalPort: number, replaces: boolean): MappingGrant {
  const internalPort = request.internalPort === 0 ? externalPort : request.internalPort;
  return { externalPort, internalPort, replaces };
}

function refuse(kind: MappingRefusalKind, message: string): MappingRefusal {
  return { kind, message };
}
