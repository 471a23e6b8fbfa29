import type { RemotePeer } from "../../core/mapping/desk.ts";
import type { PortSpan } from "../../core/port-spans.ts";
import { mergeSpans, subtractSpans } from "../../core/port-spans.ts";
import { addressBytes, type Cidr, compileCidrs, isIpv6 } from "../../wire/address.ts";

/** A network and the source ports it may come from; no two of a list overlap (interval sets refuse that). */
export interface SourceRange {
  readonly network: Cidr;
  readonly ports: PortSpan;
}

const ALL_PORTS: PortSpan = { first: 0, last: 65_535 };

export function familyOf(network: string): 4 | 6 {
  return isIpv6(network) ? 6 : 4;
}

/** Those of one family that lie in no other: networks nest or are apart. */
export function outermost(networks: readonly Cidr[], family: 4 | 6): Cidr[] {
  const kept: Cidr[] = [];
  const widestFirst = networks.filter((network) => familyOf(network) === family).sort((a, b) => width(a) - width(b));
  for (const network of widestFirst) if (!isWithin(network, kept)) kept.push(network);
  return kept;
}

/** What a list of peers allows, as ranges that do not overlap. */
export function sourceRanges(peers: readonly RemotePeer[], family: 4 | 6): SourceRange[] {
  const anyPort = outermost(
    peers.filter(({ port }) => port === null).map(({ network }) => network),
    family,
  );
  const byPort = Map.groupBy(
    peers.filter(({ port, network }) => port !== null && !isWithin(network, anyPort)),
    ({ port }) => port as number,
  );
  const ofOnePort = [...byPort].flatMap(([port, list]) =>
    outermost(
      list.map(({ network }) => network),
      family,
    ).map((network) => ({ network, ports: { first: port, last: port } })),
  );
  // A network of every port inside one of a single port: that port is in the wider element already.
  const ofAnyPort = anyPort.flatMap((network) => {
    const taken = ofOnePort.filter((wider) => isWithin(network, [wider.network])).map(({ ports }) => ports);
    return subtractSpans([ALL_PORTS], mergeSpans(taken)).map((ports) => ({ network, ports }));
  });
  return [...ofAnyPort, ...ofOnePort];
}

function width(network: Cidr): number {
  return Number(network.slice(network.indexOf("/") + 1));
}

function isWithin(network: Cidr, wider: readonly Cidr[]): boolean {
  const candidates = wider.filter((other) => width(other) <= width(network));
  return compileCidrs(candidates).contains(network.slice(0, network.indexOf("/")));
}

/** As nft prints it: a network of one address without its length. */
export function networkText(network: Cidr): string {
  const full = familyOf(network) === 4 ? "/32" : "/128";
  return network.endsWith(full) ? network.slice(0, -full.length) : network;
}

/** Whether a text is an address of this family: it goes into what nft reads. */
export function isAddress(text: string, family: 4 | 6): boolean {
  return !text.includes("%") && addressBytes(text)?.length === (family === 4 ? 4 : 16);
}
