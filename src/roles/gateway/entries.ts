import type { HeldMapping } from "../../core/mapping/book.ts";
import type { RemotePeer } from "../../core/mapping/desk.ts";
import { isPinhole, type MappingSpec } from "../../core/mapping/spec.ts";
import { PROTOCOLS } from "../../core/port-spans.ts";
import type { NatEntry, NatLimits } from "../../dataplanes/nat/state.ts";
import type { PortMapping, Protocol } from "../../wire/port-set.ts";

/** What a mapping is called outside the book: in lists, in IGD's pinhole ids, in the kernel's state. */
export function keyOf({ owner, spec }: HeldMapping): string {
  return `${owner.device}/${spec.id}`;
}

/** The device and the id of `keyOf`: a device's name has no slash. */
export function parseKey(key: string): { readonly device: string; readonly id: string } {
  const slash = key.indexOf("/");
  return { device: key.slice(0, slash), id: key.slice(slash + 1) };
}

/**
 * Ports that are one entry of the kernel. A mapping has its external ports alone; a port of an IPv6 host may have several
 * pinholes, one for each remote host that was asked for, and the kernel one hole that all of them share.
 */
export interface Run extends PortMapping {
  /** Of the entry. */
  readonly id: string;
  readonly to: string;
  readonly holders: readonly HeldMapping[];
}

/** All runs of these mappings, whether they are open or not. */
export function runsOf(all: Iterable<HeldMapping>): Run[] {
  const runs: Run[] = [];
  const pinholes = new Map<string, HeldMapping[]>();
  for (const held of all) {
    if (isPinhole(held.spec)) {
      const host = hostOf(held);
      const known = pinholes.get(host);
      if (known === undefined) pinholes.set(host, [held]);
      else known.push(held);
      continue;
    }
    const { ports, to } = held.spec;
    ports.forEach((range, at) => {
      runs.push({ ...range, id: `${keyOf(held)}#${at}`, to, holders: [held] });
    });
  }
  for (const [host, held] of pinholes) {
    for (const protocol of PROTOCOLS) runs.push(...pinholeRuns(host, protocol, held));
  }
  return runs;
}

/** Whose ports they are, for pinholes. */
export function hostOf({ owner, spec }: HeldMapping): string {
  return `${owner.device}/${spec.to}`;
}

/** A run ends wherever a pinhole of the host begins or ends, so that all ports of one have the same holders. */
function pinholeRuns(host: string, protocol: Protocol, all: readonly HeldMapping[]): Run[] {
  const ranges = all.flatMap((held) =>
    held.spec.ports.flatMap(({ protocol: its, first, last }) => (its === protocol ? [{ held, first, last }] : [])),
  );
  const edges = [...new Set(ranges.flatMap(({ first, last }) => [first, last + 1]))].toSorted((a, b) => a - b);
  return edges.flatMap((first, at) => {
    const last = (edges[at + 1] ?? first) - 1;
    const holders = ranges.filter((range) => range.first <= first && last <= range.last).map(({ held }) => held);
    const [holder] = holders;
    if (holder === undefined || last < first) return [];
    const id = `${host} ${protocol} ${first}`;
    return [{ id, protocol, first, last, internalFirst: first, to: holder.spec.to, holders: [...new Set(holders)] }];
  });
}

/** A run's entry in the kernel; none while it leads nowhere. */
export function natEntries(run: Run, isOpen: (spec: MappingSpec) => boolean, defaults: NatLimits): NatEntry[] {
  const { id, protocol, first, last, internalFirst, to, holders } = run;
  const specs = holders.map(({ spec }) => spec);
  // Who may come by a port that the operator opens or closes is the operator's to say: what an app asked for adds nobody.
  const fixed = specs.filter(({ requester }) => requester === null);
  const open = (fixed.length > 0 ? fixed : specs).filter((spec) => spec.enabled && isOpen(spec));
  if (open.length === 0) return [];
  const shared = { id, protocol, first, last, to, ...accessOf(open, defaults) };
  return [isPinhole({ to }) ? { kind: "pinhole", ...shared } : { kind: "forward", ...shared, internalFirst }];
}

/** Who may come by one of them; what one of them denies or limits is denied or limited. */
function accessOf(specs: readonly MappingSpec[], defaults: NatLimits): Pick<NatEntry, "allow" | "deny" | "limits"> {
  const allow = specs.some((spec) => spec.allow.length === 0) ? [] : specs.flatMap((spec) => spec.allow);
  const own = specs.some(({ limits }) => Object.values(limits).some((limit) => limit !== undefined));
  const lowest = (key: keyof NatLimits): number | null => {
    const all = specs.map(({ limits }) => limits[key] ?? defaults[key] ?? Number.POSITIVE_INFINITY);
    const least = Math.min(...all);
    return Number.isFinite(least) ? least : null;
  };
  return {
    allow: unique(allow, ({ network, port }: RemotePeer) => `${network} ${port}`),
    deny: unique(
      specs.flatMap((spec) => spec.deny),
      (network) => network,
    ),
    limits: own
      ? { connectionsPerSource: lowest("connectionsPerSource"), newPerSourcePerSec: lowest("newPerSourcePerSec") }
      : null,
  };
}

/** In an order of its own: the same access is the same entry, whichever pinhole was renewed last. */
function unique<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  const known = new Map(all.map((one) => [keyOf(one), one]));
  return [...known.keys()].toSorted().flatMap((key) => known.get(key) ?? []);
}
