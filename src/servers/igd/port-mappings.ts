import type { MappingInfo, RemotePeer } from "../../core/mapping/desk.ts";
import { igdLifetimeSec } from "../../core/mapping/lifetime.ts";
import { same } from "../../core/same.ts";
import { isIpv6, parseCidr } from "../../wire/address.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import { type PortListingEntry, renderPortListing } from "../../wire/igd/port-listing.ts";
import { printable } from "../../wire/igd/printable.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import { type ActionRefusal, type Caller, type CallTo, type Outcome, refuse, refusedByDesk } from "./gateway.ts";

/** Rows of one GetListOfPortMappings: about 200 KB. Whoever wants more asks from the last port on. */
const MAX_LISTED = 512;

type AddCall = CallTo<"AddPortMapping" | "AddAnyPortMapping">;

/** Makes, renews or changes a mapping (WANIPConnection:2 §2.5.16 and §2.5.17). */
export async function addPortMapping(
  { action, version, args }: AddCall,
  { requester, gateway: { desk } }: Caller,
): Promise<Result<MappingInfo, ActionRefusal>> {
  const internalAddress = args.NewInternalClient ?? requester;
  // The caller itself, over IPv6: there is nothing to translate an IPv4 port to.
  if (isIpv6(internalAddress)) return refuse("invalidArgs", `${requester} named no IPv4 host to map to.`);
  const remotes = remotesOf(args.NewRemoteHost);
  if (remotes === null) return refuse("invalidArgs", `${requester} named no remote host that is an address.`);
  if (action === "AddPortMapping") {
    const held = desk.at(requester, args.NewProtocol, args.NewExternalPort);
    // The remote host is part of the key, and one external port leads to one place: neither a second mapping nor a
    // silent change of who may use the first.
    if (held?.internalAddress === internalAddress && !same(held.remotes, remotes)) {
      const name = `${args.NewExternalPort}/${args.NewProtocol}`;
      return refuse("conflictInMappingEntry", `${requester} has port ${name} already, for another remote host.`);
    }
  }
  const mapped = await desk.map({
    ask: { via: "igd", action },
    requester,
    internalAddress,
    protocol: args.NewProtocol,
    internalPort: args.NewInternalPort,
    externalPort: args.NewExternalPort,
    lifetimeSec: igdLifetimeSec(version, args.NewLeaseDuration),
    description: printable(args.NewPortMappingDescription),
    remotes,
    enabled: args.NewEnabled,
  });
  return mapped.ok ? mapped : refusedByDesk(mapped.error, version);
}

/** Null = no host's address: 0.0.0.0 would be a mapping that nobody can use, or one for everybody, and says neither. */
function remotesOf(remoteHost: string | null): readonly RemotePeer[] | null {
  if (remoteHost === null) return [];
  const network = parseCidr(remoteHost);
  return network.ok && remoteHost !== "0.0.0.0" ? [{ network: network.value, port: null }] : null;
}

/** NewRemoteHost of a mapping: what IGD can say of who may use it. Null = any, or more than one host. */
function remoteHostOf({ remotes }: MappingInfo): string | null {
  const [only, ...more] = remotes;
  if (only === undefined || more.length > 0) return null;
  return only.network.endsWith("/32") ? only.network.slice(0, -"/32".length) : null;
}

export async function deletePortMapping(
  { version, args }: CallTo<"DeletePortMapping">,
  { requester, gateway: { desk } }: Caller,
): Promise<Outcome<CallTo<"DeletePortMapping">>> {
  const { NewProtocol: protocol, NewExternalPort: port } = args;
  const held = desk.at(requester, protocol, port);
  if (held !== null && remoteHostOf(held) !== args.NewRemoteHost) return refuse("noSuchEntryInArray");
  const deleted = await desk.unmapExternal({ requester, protocol, firstExternalPort: port, lastExternalPort: port });
  if (!deleted.ok) return refusedByDesk(deleted.error, version);
  return deleted.value === 0 ? refuse("noSuchEntryInArray") : ok({});
}

/**
 * WANIPConnection:2 §2.5.19: without NewManage the caller's own mappings go, and others in the range are passed over;
 * with it all that the desk lets the caller delete, and when that is none of those there, it hears that it may not.
 */
export async function deletePortMappingRange(
  call: CallTo<"DeletePortMappingRange">,
  caller: Caller,
): Promise<Outcome<CallTo<"DeletePortMappingRange">>> {
  const { version, args } = call;
  const { requester, gateway } = caller;
  const range = portRange(args);
  if (range === null) return refuse("inconsistentParameters");
  const protocol = args.NewProtocol;
  const spans = args.NewManage
    ? [range]
    : inRange(args, caller)
        .filter(({ fixed, lastExternalPort }) => !fixed && lastExternalPort <= range.last)
        .map(({ externalPort, lastExternalPort }) => ({ first: externalPort, last: lastExternalPort }));
  const results = await Promise.all(
    spans.map(({ first, last }) =>
      gateway.desk.unmapExternal({ requester, protocol, firstExternalPort: first, lastExternalPort: last }),
    ),
  );
  const refused = results.find((result) => !result.ok);
  if (refused !== undefined && !refused.ok) return refusedByDesk(refused.error, version);
  return results.some((result) => result.ok && result.value > 0) ? ok({}) : refuse("portMappingNotFound");
}

interface RangeArgs {
  readonly NewStartPort: number;
  readonly NewEndPort: number;
  readonly NewProtocol: Protocol;
  readonly NewManage: boolean;
}

/** Null when it ends before it begins. */
function portRange({ NewStartPort, NewEndPort }: RangeArgs): { readonly first: number; readonly last: number } | null {
  return NewStartPort > NewEndPort ? null : { first: Math.max(1, NewStartPort), last: Math.min(MAX_PORT, NewEndPort) };
}

/** The mappings that begin in the range, in order: with NewManage all that the caller may see, else its own. */
function inRange(args: RangeArgs, { requester, gateway }: Caller): MappingInfo[] {
  return gateway.desk
    .list(requester)
    .filter(({ protocol, externalPort }) => protocol === args.NewProtocol && isInside(externalPort, args))
    .filter(({ internalAddress }) => args.NewManage || internalAddress === requester)
    .sort((a, b) => a.externalPort - b.externalPort);
}

function isInside(port: number, { NewStartPort, NewEndPort }: RangeArgs): boolean {
  return port >= NewStartPort && port <= NewEndPort;
}

export function getListOfPortMappings(
  { args }: CallTo<"GetListOfPortMappings">,
  caller: Caller,
): Outcome<CallTo<"GetListOfPortMappings">> {
  if (portRange(args) === null) return refuse("inconsistentParameters");
  // WANIPConnection:2 §2.5.21: 0 = as many as there are.
  const most = Math.min(MAX_LISTED, args.NewNumberOfPorts === 0 ? MAX_LISTED : args.NewNumberOfPorts);
  const found = inRange(args, caller).slice(0, most);
  if (found.length === 0) return refuse("portMappingNotFound");
  return ok({ NewPortListing: renderPortListing(found.map(listed)) });
}

function listed(info: MappingInfo): PortListingEntry {
  return {
    remoteHost: remoteHostOf(info),
    externalPort: info.externalPort,
    protocol: info.protocol,
    internalPort: info.internalPort,
    internalClient: info.internalAddress,
    enabled: info.enabled,
    description: info.description,
    leaseSec: leaseSecOf(info),
  };
}

/** 0 = permanent, so what still has a moment has a second. */
function leaseSecOf({ remainingSec }: MappingInfo): number {
  return remainingSec === null ? 0 : Math.max(1, Math.ceil(remainingSec));
}

function entryOf(info: MappingInfo) {
  return {
    NewInternalPort: info.internalPort,
    NewInternalClient: info.internalAddress,
    NewEnabled: info.enabled,
    NewPortMappingDescription: info.description,
    NewLeaseDuration: leaseSecOf(info),
  };
}

export function getGenericPortMappingEntry(
  { args }: CallTo<"GetGenericPortMappingEntry">,
  { requester, gateway }: Caller,
): Outcome<CallTo<"GetGenericPortMappingEntry">> {
  const info = gateway.desk.list(requester)[args.NewPortMappingIndex];
  if (info === undefined) return refuse("specifiedArrayIndexInvalid");
  return ok({
    NewRemoteHost: remoteHostOf(info),
    NewExternalPort: info.externalPort,
    NewProtocol: info.protocol,
    ...entryOf(info),
  });
}

export function getSpecificPortMappingEntry(
  { args }: CallTo<"GetSpecificPortMappingEntry">,
  { requester, gateway }: Caller,
): Outcome<CallTo<"GetSpecificPortMappingEntry">> {
  const info = gateway.desk.at(requester, args.NewProtocol, args.NewExternalPort);
  if (info === null || remoteHostOf(info) !== args.NewRemoteHost) return refuse("noSuchEntryInArray");
  return ok(entryOf(info));
}
