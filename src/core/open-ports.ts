import type { CidrSet } from "../wire/address.ts";
import { type EventForward, type ForwardEvent, forwardKey } from "./events.ts";
import { mergeSpans } from "./port-spans.ts";

/** Whose forwards are meant. */
export type OwnerFilter =
  | { readonly kind: "everybody" }
  /** A device's name or id. */
  | { readonly kind: "device"; readonly device: string }
  /** What a host of these networks asked for, and what leads to one, whoever made it. */
  | { readonly kind: "client"; readonly networks: CidrSet };

export const EVERYBODY: OwnerFilter = { kind: "everybody" };

/**
 * Ports that are listed one by one, in a status file, an answer or an argument. One argument of a program may have
 * 128 KiB (execve(2), MAX_ARG_STRLEN); a whole range of 64,000 ports would be 380.
 */
export const MAX_LISTED_PORTS = 1_000;

export function isOwnedBy({ owner, to }: EventForward, filter: OwnerFilter): boolean {
  switch (filter.kind) {
    case "everybody":
      return true;
    case "device":
      return owner.kind === "device" && (owner.id === filter.device || owner.name === filter.device);
    case "client":
      if (owner.kind === "client" && filter.networks.contains(owner.address)) return true;
      return to !== null && filter.networks.contains(to);
    default:
      return filter satisfies never;
  }
}

/** The external ports, each number once whatever its protocols, ascending, at most MAX_LISTED_PORTS. */
export function listPorts(forwards: readonly EventForward[]): readonly number[] {
  const listed: number[] = [];
  for (const { first, last } of mergeSpans(forwards.flatMap(({ ports }) => ports))) {
    for (let port = first; port <= last && listed.length < MAX_LISTED_PORTS; port++) listed.push(port);
  }
  return listed;
}

/** Which forwards are open, as their events tell it. */
export class OpenForwards {
  readonly #open = new Map<string, EventForward>();

  apply(event: ForwardEvent): void {
    if (event.event === "closed") this.#open.delete(forwardKey(event.forward));
    else this.#open.set(forwardKey(event.forward), event.forward);
  }

  /** As gluetun shows them: ascending, so that the first is the lowest. */
  ports(filter: OwnerFilter): readonly number[] {
    return listPorts([...this.#open.values()].filter((forward) => isOwnedBy(forward, filter)));
  }
}
