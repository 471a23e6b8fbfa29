/** Where a route leaves, as each system names it. */
export type RouteInterface =
  | { readonly kind: "name"; readonly name: string }
  /** Windows, IPv4: the interface that has this address. */
  | { readonly kind: "address"; readonly address: string }
  /** Windows, IPv6: the number that is the zone of its link-local addresses. */
  | { readonly kind: "index"; readonly index: number };

/** A route that traffic to the internet takes. */
export interface DefaultRoute {
  readonly family: 4 | 6;
  /** Canonical, without a zone. Null: a point-to-point link, most often a VPN's, where there is no router to ask. */
  readonly gateway: string | null;
  readonly interface: RouteInterface;
  /** The lowest is used. Below 0: it covers a part of the internet, and goes before every whole one. */
  readonly metric: number;
}

/** More than any machine has default routes; keeps a hostile or broken table from costing memory. */
const MAX_ROUTES = 256;

/** Reads a system's table line by line: what a line does not say in the known way is another table's, or a heading. */
export function readRoutes<T>(text: string, readLine: (line: string) => T | null): T[] {
  const found: T[] = [];
  for (const line of text.split("\n")) {
    const one = readLine(line.trim());
    if (one !== null && found.push(one) === MAX_ROUTES) break;
  }
  return found;
}

/**
 * VPN programs leave the default route alone and cover the internet with two halves or more instead (0.0.0.0/1 and
 * 128.0.0.0/1, ::/1 and 8000::/1, 2000::/3): those are used, because the longest prefix wins. One part stands for all:
 * the one that holds the first address of what is handed out.
 */
const FIRST_PARTS: Readonly<Record<4 | 6, Readonly<Record<string, number>>>> = {
  4: { "0.0.0.0": 1 },
  6: { "::": 2, "2000::": 4 },
};

/** The metric of a route to `destination`; null = it is no default route. `destination`: canonical. */
export function defaultMetric(family: 4 | 6, destination: string, prefixLength: number, metric: number): number | null {
  if (prefixLength === 0) return destination === "0.0.0.0" || destination === "::" ? metric : null;
  const longest = FIRST_PARTS[family][destination];
  return longest !== undefined && prefixLength <= longest ? -prefixLength : null;
}
