import type { Protocol } from "../../wire/port-set.ts";
import type { MappingWish } from "./model.ts";

/** One port that is to be open at the router, whichever router that is: it outlives a change of the network. */
export interface PortWish {
  readonly family: 4 | 6;
  readonly protocol: Protocol;
  /** Whom the router forwards to; null = this machine, by its address towards the router. */
  readonly host: string | null;
  readonly internalPort: number;
  /** 0 = whichever the router likes. For IPv6 the internal port. */
  readonly externalPort: number;
  /** True: that external port or none. */
  readonly exact: boolean;
  /** Null = for good, as far as the router has that. */
  readonly lifetimeSec: number | null;
  /** What the router's own list shows. */
  readonly description: string;
}

/** Equal for equal wishes only: another lifetime is another wish. */
export function wishKey(wish: PortWish): string {
  const { family, protocol, host, internalPort, externalPort, exact, lifetimeSec, description } = wish;
  return JSON.stringify([family, protocol, host, internalPort, externalPort, exact, lifetimeSec, description]);
}

/** What a router is asked: with the address that it forwards to, and an external port that may be another by now. */
export function mappingWish(wish: PortWish, internalAddress: string, externalPort: number): MappingWish {
  const { protocol, internalPort, exact, lifetimeSec, description } = wish;
  return { protocol, internalAddress, internalPort, externalPort, exact, lifetimeSec, description };
}

/** `25565/tcp`, `8000:80/tcp`, `port 80/tcp of 192.168.1.20`: for sentences. */
export function wishText({ protocol, host, internalPort, externalPort }: PortWish): string {
  const ports = externalPort === internalPort || externalPort === 0 ? internalPort : `${externalPort}:${internalPort}`;
  return `${ports}/${protocol}${host === null ? "" : ` of ${host}`}`;
}

/**
 * What a mapping is to its router. PCP and NAT-PMP know one by the inside (RFC 6887 §11.1, RFC 6886 §3.3), UPnP by the
 * outside: two wishes with either in common are one mapping to some router, and each would undo the other's.
 */
function sides({ family, protocol, host, internalPort, externalPort }: PortWish, heldPort: number | null): string[] {
  const inside = `${family} ${protocol} ${host ?? "self"} ${internalPort}`;
  if (family === 6) return [inside];
  const outside = [externalPort, heldPort ?? 0].filter((port) => port !== 0).map((port) => `${protocol} ${port}`);
  return [inside, ...outside];
}

/** Whether the two get in each other's way at a router. `heldPort`: the external port that `a` has, if it has one. */
export function overlaps(a: PortWish, heldPort: number | null, b: PortWish): boolean {
  const taken = new Set(sides(a, heldPort));
  return sides(b, null).some((side) => taken.has(side));
}

/** Of each wish that gets in an earlier one's way: why it cannot be kept. By wishKey; equal wishes are one. */
export function findClashes(wishes: readonly PortWish[]): ReadonlyMap<string, string> {
  const owners = new Map<string, PortWish>();
  const clashes = new Map<string, string>();
  const seen = new Set<string>();
  for (const wish of wishes) {
    const key = wishKey(wish);
    if (seen.has(key)) continue;
    seen.add(key);
    const own = sides(wish, null);
    const owner = own.map((side) => owners.get(side)).find((found) => found !== undefined);
    if (owner === undefined) for (const side of own) owners.set(side, wish);
    else clashes.set(key, clashText(owner, wish));
  }
  return clashes;
}

function clashText(owner: PortWish, wish: PortWish): string {
  const { protocol, internalPort, externalPort } = wish;
  if (owner.host === wish.host && owner.internalPort === internalPort) {
    if (owner.externalPort === externalPort) return `Port ${wishText(wish)} is asked for twice: keep one.`;
    const ports = `${owner.externalPort} and ${externalPort}`;
    return `Port ${internalPort}/${protocol} is to be reached at both ${ports}, and routers give a port one outside: keep one.`;
  }
  return `External port ${externalPort}/${protocol} is to lead to two places: keep one.`;
}
