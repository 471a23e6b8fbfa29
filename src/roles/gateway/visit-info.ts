import type { HeldMapping } from "../../core/mapping/book.ts";
import type { NatVisit } from "../../dataplanes/nat/visits.ts";
import type { VisitInfo } from "../control.ts";
import { visitInfoOf } from "../views.ts";
import { parseKey, runsOf } from "./entries.ts";
import { deviceName, type InfoView } from "./forward-info.ts";

/** What a visit goes through: a mapping, or (IPv6) all ports of a VPN peer that has them open. */
export interface VisitedThrough {
  readonly visit: NatVisit;
  /** Whose it is, and its id among that device's. */
  readonly device: string;
  readonly specId: string;
  readonly name: string;
  readonly deviceName: string;
}

/** Of a peer whose ports are all open, whatever leads there. */
const ALL_PORTS = "all ports";

/** What goes through nothing any more is left out: its mapping went meanwhile. */
export function visitsThrough(
  view: Pick<InfoView, "book" | "vpn">,
  visits: readonly NatVisit[],
): readonly VisitedThrough[] {
  if (visits.length === 0) return [];
  const holders = new Map<string, HeldMapping>();
  for (const run of runsOf(view.book.list())) {
    const [holder] = run.holders;
    if (holder !== undefined) holders.set(run.id, holder);
  }
  return visits.flatMap((visit) => {
    const held = holders.get(visit.entryId);
    if (held !== undefined) {
      const { owner, spec } = held;
      return [{ visit, device: owner.device, specId: spec.id, name: spec.name, deviceName: deviceName(view, held) }];
    }
    const { device, id } = parseKey(visit.entryId);
    const peer = view.vpn.peerOf(device);
    return peer === null ? [] : [{ visit, device, specId: id, name: ALL_PORTS, deviceName: peer.name }];
  });
}

/** `forwardId`: what the list that this is for calls the forward. */
export function throughInfo({ visit, name, deviceName: device }: VisitedThrough, forwardId: string): VisitInfo {
  const { protocol, visitor, entry, openedMs, bytesIn, bytesOut } = visit;
  const forward = { id: forwardId, name, device };
  // The kernel's number is a hash: with the port, no two of a forward have the same.
  const id = `${visit.id.toString(36)}-${visitor.port}`;
  return visitInfoOf(id, forward, { protocol, visitor, entry, openedMs, bytesIn, bytesOut });
}
