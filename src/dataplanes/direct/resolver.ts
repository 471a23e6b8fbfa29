import { lookup } from "node:dns/promises";
import { parseAddress } from "../../wire/address.ts";

/** How long the addresses of a name are used again: a busy forward must not ask the system for every visitor. */
const CACHE_MS = 5_000;
const MAX_CACHED_NAMES = 1_024;

/** The addresses of a host, in the order to try them (RFC 6724, as the system sorts them); empty = does not resolve. */
export interface Resolver {
  /** The answer when it is known without waiting: an IP literal, a name asked for a moment ago. */
  known(host: string): readonly string[] | null;
  /** Never rejects. */
  resolve(host: string): Promise<readonly string[]>;
}

/** The system's resolver (hosts file, DNS) with a short memory. `nowMs` is monotonic. */
export function systemResolver(nowMs: () => number = () => performance.now()): Resolver {
  const names = new Map<string, { readonly addresses: readonly string[]; readonly untilMs: number }>();
  const asking = new Map<string, Promise<readonly string[]>>();

  const ask = async (host: string): Promise<readonly string[]> => {
    const found = await lookup(host, { all: true, verbatim: true }).catch(() => []);
    const addresses = [...new Set(found.map(({ address }) => canonical(address)).filter((text) => text !== null))];
    asking.delete(host);
    if (names.size >= MAX_CACHED_NAMES) names.clear();
    // A name that does not resolve is asked for again: what is missing is often just being set up.
    if (addresses.length > 0) names.set(host, { addresses, untilMs: nowMs() + CACHE_MS });
    return addresses;
  };

  const known = (host: string): readonly string[] | null => {
    const cached = names.get(host);
    if (cached !== undefined) {
      if (cached.untilMs > nowMs()) return cached.addresses;
      names.delete(host);
      return null;
    }
    const literal = canonical(host);
    return literal === null ? null : [literal];
  };

  return {
    known,
    resolve: (host) => {
      const answer = known(host);
      if (answer !== null) return Promise.resolve(answer);
      const pending = asking.get(host) ?? ask(host);
      asking.set(host, pending);
      return pending;
    },
  };
}

function canonical(text: string): string | null {
  const parsed = parseAddress(text);
  return parsed.ok ? parsed.value : null;
}
