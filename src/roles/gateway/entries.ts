import type { HeldMapping } from "../../core/mapping/book.ts";
import { isPinhole } from "../../core/mapping/spec.ts";
import type { NatEntry, NatLimits } from "../../dataplanes/nat/state.ts";

/** What a mapping is called outside the book: in lists, in IGD's pinhole ids, in the kernel's state. */
export function keyOf({ owner, spec }: HeldMapping): string {
  return `${owner.device}/${spec.id}`;
}

/** The device and the id of `keyOf`: a device's name has no slash. */
export function parseKey(key: string): { readonly device: string; readonly id: string } {
  const slash = key.indexOf("/");
  return { device: key.slice(0, slash), id: key.slice(slash + 1) };
}

/** A mapping's entries in the kernel, one for each run of ports; none while it is disabled. */
export function natEntries(held: HeldMapping, defaults: NatLimits): NatEntry[] {
  const { spec } = held;
  if (!spec.enabled) return [];
  const { allow, deny, to, limits } = spec;
  const own = limits.connectionsPerSource !== undefined || limits.newPerSourcePerSec !== undefined;
  const shared = {
    allow,
    deny,
    to,
    limits: own ? { ...defaults, ...limits } : null,
  };
  return spec.ports.map(({ protocol, first, last, internalFirst }, at) => {
    const id = entryId(held, at);
    return isPinhole(spec)
      ? { kind: "pinhole", id, protocol, first, last, ...shared }
      : { kind: "forward", id, protocol, first, last, internalFirst, ...shared };
  });
}

/** Of all entries that it may have, whether the kernel holds them or not. */
export function entryIds(held: HeldMapping): string[] {
  return held.spec.ports.map((_, at) => entryId(held, at));
}

export function entryId(held: HeldMapping, at: number): string {
  return `${keyOf(held)}#${at}`;
}
