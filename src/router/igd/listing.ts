import { isMissingAction, otherFailure } from "../../core/router/igd-faults.ts";
import type { ListedMapping, RouterFailure } from "../../core/router/model.ts";
import { MAX_PORT } from "../../wire/endpoint.ts";
import { decodePortListing, type PortListingEntry } from "../../wire/igd/port-listing.ts";
import { printable } from "../../wire/igd/printable.ts";
import { UPNP_CODE } from "../../wire/igd/upnp-error.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type CallOptions, failureOf, type IgdControl } from "./control.ts";
import { garbled } from "./failures.ts";
import type { CallError } from "./transport.ts";

const SERVICE = "WANIPConnection";
const PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];
const MAX_LISTED = 1000;
/** A page with fewer rows was not cut: the smallest limit of a known server is 512. */
const MIN_CUT_PAGE = 128;
/** One request a row is slow: 10 ms each of a quick router, 50 ms of a slow one. What came until then is the list. */
const LIST_DEADLINE_MS = 10_000;

/** All mappings of the router that it shows, a thousand at most. */
export async function listMappings(
  control: IgdControl,
  nowMs: () => number,
  options: CallOptions,
): Promise<Result<readonly ListedMapping[], RouterFailure>> {
  if (control.site.connection?.version === 2) {
    const listed = await listByRange(control, options);
    // What version 2 promises not every router does.
    if (listed.ok || listed.error.kind === "failed") {
      return listed.ok ? listed : err(failureOf(listed.error, otherFailure));
    }
  }
  return listByIndex(control, nowMs, options);
}

async function listByRange(
  control: IgdControl,
  options: CallOptions,
): Promise<Result<readonly ListedMapping[], CallError>> {
  const rows: ListedMapping[] = [];
  for (const protocol of PROTOCOLS) {
    // With NewManage those of other hosts, too; a router that does not permit this shows a host its own.
    let manage = true;
    let start = 0;
    while (rows.length < MAX_LISTED && start <= MAX_PORT) {
      const page = await listPage(control, protocol, start, manage, options);
      if (!page.ok) {
        if (page.error.kind === "fault" && page.error.fault.code === UPNP_CODE.actionNotAuthorized && manage) {
          manage = false;
          continue;
        }
        return page;
      }
      rows.push(...page.value.map(listed));
      const next = nextStart(page.value);
      if (next === null) break;
      start = next;
    }
  }
  return ok(rows.slice(0, MAX_LISTED));
}

/** Where to go on when the router cut the page; null = it was all. miniupnpd lists the newest first, all at once. */
function nextStart(page: readonly PortListingEntry[]): number | null {
  const sorted = page.every(({ externalPort }, at) => externalPort >= (page[at - 1]?.externalPort ?? 0));
  const last = page.at(-1);
  return page.length < MIN_CUT_PAGE || !sorted || last === undefined ? null : last.externalPort + 1;
}

async function listPage(
  control: IgdControl,
  protocol: Protocol,
  start: number,
  manage: boolean,
  options: CallOptions,
): Promise<Result<readonly PortListingEntry[], CallError>> {
  const args = {
    NewStartPort: start,
    NewEndPort: MAX_PORT,
    NewProtocol: protocol,
    NewManage: manage,
    NewNumberOfPorts: MAX_LISTED,
  };
  const call = { service: SERVICE, action: "GetListOfPortMappings", version: 2, args } as const;
  const listing = await control.call(call, options);
  if (!listing.ok) {
    const { error } = listing;
    const none =
      error.kind === "fault" &&
      (error.fault.code === UPNP_CODE.portMappingNotFound || error.fault.code === UPNP_CODE.noSuchEntryInArray);
    return none ? ok([]) : err(error);
  }
  const rows = decodePortListing(listing.value.NewPortListing);
  if (rows.ok) return rows;
  const message = `The router at ${control.router} lists its mappings in no way that can be read (${rows.error.kind}).`;
  return err({ kind: "failed", failure: garbled(message) });
}

function listed(entry: PortListingEntry): ListedMapping {
  return {
    protocol: entry.protocol,
    externalPort: entry.externalPort,
    internalAddress: entry.internalClient,
    internalPort: entry.internalPort,
    enabled: entry.enabled,
    description: entry.description,
    remainingSec: entry.leaseSec === 0 ? null : entry.leaseSec,
  };
}

async function listByIndex(
  control: IgdControl,
  nowMs: () => number,
  options: CallOptions,
): Promise<Result<readonly ListedMapping[], RouterFailure>> {
  const rows: ListedMapping[] = [];
  const seen = new Set<string>();
  const endMs = nowMs() + LIST_DEADLINE_MS;
  for (let index = 0; index < MAX_LISTED && nowMs() < endMs; index++) {
    const args = { NewPortMappingIndex: index };
    const call = { service: SERVICE, action: "GetGenericPortMappingEntry", version: 1, args } as const;
    const row = await control.call(call, options);
    if (row.ok) {
      const value = row.value;
      const key = `${value.NewProtocol} ${value.NewExternalPort} ${value.NewRemoteHost}`;
      // There are routers that repeat their last one for every index beyond.
      if (seen.has(key)) break;
      seen.add(key);
      rows.push({
        protocol: value.NewProtocol,
        externalPort: value.NewExternalPort,
        internalAddress: value.NewInternalClient ?? "",
        internalPort: value.NewInternalPort,
        enabled: value.NewEnabled,
        description: printable(value.NewPortMappingDescription),
        remainingSec: value.NewLeaseDuration === 0 ? null : value.NewLeaseDuration,
      });
      continue;
    }
    if (row.error.kind === "failed") {
      // A row that makes no sense is one row.
      if (row.error.failure.kind === "garbled") continue;
      return err(row.error.failure);
    }
    // The end has as many codes as there are routers, 713, 714 and 402 among them.
    const { fault } = row.error;
    const refused = isMissingAction(fault) || fault.code === UPNP_CODE.actionNotAuthorized;
    if (index === 0 && refused) return err(otherFailure(fault));
    break;
  }
  return ok(rows);
}
