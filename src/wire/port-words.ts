import type { PortMapping } from "./port-set.ts";

/** What ports mean, in words for people, a phrase for each run: `TCP 8810 to 8815`, `UDP 53, to port 5353 inside`. */
export function portWords(mappings: readonly PortMapping[]): string[] {
  return mappings.map(({ protocol, first, last, internalFirst }) => {
    const outside = first === last ? `${first}` : `${first} to ${last}`;
    const internalLast = internalFirst + last - first;
    const inside = first === last ? `port ${internalFirst}` : `ports ${internalFirst} to ${internalLast}`;
    const words = `${protocol.toUpperCase()} ${outside}`;
    return internalFirst === first ? words : `${words}, to ${inside} inside`;
  });
}
