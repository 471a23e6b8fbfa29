/** What clients commonly draw from when a port is taken: above what programs listen on, below ephemeral ports. */
export const OTHER_PORTS = { first: 40_000, last: 49_999 } as const;
/** The next two are easy to remember and to explain. */
const NEAR_TRIES = 2;
const LOWEST_NEAR = 1024;
const MAX_PORT = 65_535;

/**
 * Another external port for one that is taken: near it first, then anywhere in OTHER_PORTS. `attempt` from 1; `isFree`:
 * not another mapping's of ours, which a router would hand over without a word (UPnP lets a host overwrite its own).
 * `random` in 0..1. 0 = there is none.
 */
export function otherPort(wished: number, attempt: number, random: number, isFree: (port: number) => boolean): number {
  const near = wished + attempt;
  if (attempt <= NEAR_TRIES && wished >= LOWEST_NEAR && near <= MAX_PORT && isFree(near)) return near;
  const count = OTHER_PORTS.last - OTHER_PORTS.first + 1;
  const drawn = Math.min(count - 1, Math.floor(random * count));
  for (let step = 0; step < count; step++) {
    const port = OTHER_PORTS.first + ((drawn + step) % count);
    if (port !== wished && isFree(port)) return port;
  }
  return 0;
}
