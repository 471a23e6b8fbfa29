import type { PortMapping } from "../wire/port-set.ts";
import type { PortSpans } from "./port-spans.ts";

/** `first` of a mapping that asks for any free run of ports: `{first: 0, last: n - 1}` asks for n in a row. */
export const ANY_EXTERNAL = 0;

/** `internalFirst` of a mapping that asks for any ports, and for the same numbers inside. */
const SAME_INTERNAL = 0;

export function asksForAny(ports: readonly PortMapping[]): boolean {
  return ports.some(({ first }) => first === ANY_EXTERNAL);
}

/**
 * Settles the mappings that ask for any port: the lowest base in `candidates` at which `fits` accepts them all. TCP and
 * UDP mappings that ask together get the same numbers. Null when nothing fits. Settled mappings pass unchanged.
 */
export function allocateExternal(
  ports: readonly PortMapping[],
  candidates: PortSpans,
  fits: (settled: readonly PortMapping[]) => boolean,
): readonly PortMapping[] | null {
  const longest = Math.max(...ports.map(({ first, last }) => (first === ANY_EXTERNAL ? last + 1 : 0)));
  for (const span of candidates) {
    for (let base = span.first; base + longest - 1 <= span.last; base++) {
      const settled = settleAt(ports, base);
      if (fits(settled)) return settled;
    }
  }
  return null;
}

/** Mappings of one protocol follow each other; the first of each protocol starts at the base. */
function settleAt(ports: readonly PortMapping[], base: number): readonly PortMapping[] {
  const next = { tcp: base, udp: base };
  return ports.map((mapping) => {
    if (mapping.first !== ANY_EXTERNAL) return mapping;
    const first = next[mapping.protocol];
    next[mapping.protocol] += mapping.last + 1;
    const internalFirst = mapping.internalFirst === SAME_INTERNAL ? first : mapping.internalFirst;
    return { ...mapping, first, last: first + mapping.last, internalFirst };
  });
}

/** Whether `held` could be what `asked` was settled to before: a device that comes back keeps its ports. */
export function settlesAs(asked: readonly PortMapping[], held: readonly PortMapping[]): boolean {
  return (
    asked.length === held.length &&
    asked.every((mapping, at) => {
      const other = held[at] as PortMapping;
      if (mapping.protocol !== other.protocol) return false;
      const internalFirst = mapping.internalFirst === SAME_INTERNAL ? other.first : mapping.internalFirst;
      if (internalFirst !== other.internalFirst) return false;
      if (mapping.last - mapping.first !== other.last - other.first) return false;
      return mapping.first === ANY_EXTERNAL || mapping.first === other.first;
    })
  );
}
