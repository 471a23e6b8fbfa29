import { judgeName, lookedUp, type NameVerdict } from "../../core/names/leads-here.ts";
import type { Resolver } from "../../dataplanes/direct/resolver.ts";
import { ownAddresses } from "../../os/interfaces.ts";
import type { After } from "../../os/timers.ts";

/** Resolvers of systems ask a silent server for half a minute. */
const LOOK_UP_MS = 5_000;

export interface NameMeans {
  readonly resolver: Resolver;
  /** What visitors type to reach the relay. */
  readonly publicHost: string;
  /** Of the relay's machine: those that others can reach. */
  readonly ownAddresses: readonly string[];
  readonly after: After;
}

export interface SightedName extends NameVerdict {
  readonly host: string;
  readonly addresses: readonly string[];
}

/** Looks up where a site's name leads. Null: the resolver did not answer in time. */
export async function sightName(means: NameMeans, host: string): Promise<SightedName | null> {
  const { publicHost } = means;
  const [addresses, reached] = await Promise.all([lookUp(means, lookedUp(host)), lookUp(means, publicHost)]);
  if (addresses === null || reached === null) return null;
  const own = [...new Set([...reached, ...means.ownAddresses])];
  return { host, addresses, ...judgeName({ host, addresses, publicHost, own }) };
}

async function lookUp({ resolver, after }: NameMeans, name: string): Promise<readonly string[] | null> {
  const late = Promise.withResolvers<null>();
  const stop = after(LOOK_UP_MS, () => late.resolve(null));
  try {
    return await Promise.race([resolver.resolve(name), late.promise]);
  } finally {
    stop();
  }
}

/** The addresses of this machine that others can reach. */
export function reachableAddresses(): readonly string[] {
  return ownAddresses().flatMap(({ internal, address }) => (internal ? [] : [address]));
}
