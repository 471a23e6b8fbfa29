import { type Endpoint, formatEndpoint } from "../../wire/endpoint.ts";
import type { StunOutcome } from "./exchange.ts";
import type { OtherPlace } from "./other-place.ts";

/** RFC 4787 §4.1 and 5, in its words. */
export type NatKind = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";
/** none: nothing translates, or nothing is filtered. unknown: see the reason beside it. */
export type NatVerdict = "none" | NatKind | "unknown";

/**
 * From the first socket. primary: a plain request. filter-…: the answer is to come from the server's other port, or other
 * address and port, to which this socket never sent. From the second, map-…: plain requests to each of the places.
 */
export type NatTest =
  | "primary"
  | "filter-both"
  | "filter-port"
  | "map-primary"
  | "map-address"
  | "map-both"
  | "map-port";

export type NatOutcomes = ReadonlyMap<NatTest, StunOutcome>;

export interface Judged {
  readonly verdict: NatVerdict;
  /** One sentence when the verdict is unknown, else null. */
  readonly why: string | null;
}

/** What the tests were made with, and from where. */
export interface NatSetting {
  readonly server: Endpoint;
  /** The first socket's own; null = not known, so that "no NAT" cannot be seen. */
  readonly local: Endpoint | null;
  readonly other: OtherPlace;
}

type Success = Extract<StunOutcome, { readonly kind: "success" }>;

const known = (verdict: NatVerdict): Judged => ({ verdict, why: null });
const unknown = (why: string): Judged => ({ verdict: "unknown", why });

function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

function success(outcomes: NatOutcomes, test: NatTest): Success | null {
  const outcome = outcomes.get(test);
  return outcome?.kind === "success" ? outcome : null;
}

/** RFC 5780 §4.3, by what the places that answered saw: two that differ in one thing tell whether that thing matters. */
export function judgeMapping(outcomes: NatOutcomes, { local, other }: NatSetting): Judged {
  const primary = success(outcomes, "primary");
  if (primary === null) return unknown(noAnswer(outcomes));
  if (local !== null && same(primary.mapped, local)) return known("none");
  const seen = (["map-primary", "map-address", "map-both", "map-port"] as const).flatMap(
    (test) => success(outcomes, test) ?? [],
  );
  const pairs = seen.flatMap((a, n) => seen.slice(n + 1).map((b) => ({ a, b, alike: same(a.mapped, b.mapped) })));
  const byPort = pairs.filter(({ a, b }) => a.from.address === b.from.address);
  const byAddress = pairs.filter(({ a, b }) => a.from.address !== b.from.address);
  if (byPort.some(({ alike }) => !alike)) return known("address-and-port-dependent");
  if (byAddress.some(({ alike }) => !alike)) {
    return byPort.length > 0
      ? known("address-dependent")
      : unknown(
          "The mapping differs by address; whether by port too, no second port of the server's answered to tell.",
        );
  }
  if (byAddress.length > 0) return known("endpoint-independent");
  const why = other.whyNoAddress ?? addressSilent(outcomes, other);
  return byPort.length > 0
    ? unknown(`The mapping is the same for two ports of one address; for another address it is not known: ${why}.`)
    : unknown(`What another address sees is not known: ${why}.`);
}

/**
 * RFC 5780 §4.4. Silence says that something filters only when the same place answers a question put to it directly:
 * else it may be the server, or a firewall on its side.
 */
export function judgeFiltering(outcomes: NatOutcomes, setting: NatSetting): Judged {
  const { server, other } = setting;
  if (success(outcomes, "primary") === null) return unknown(noAnswer(outcomes));
  const both = outcomes.get("filter-both");
  const port = outcomes.get("filter-port");
  if (both === undefined && port === undefined) {
    return unknown(`No answer from elsewhere could be asked for: ${other.whyNoAddress ?? "the server has one port"}.`);
  }
  const isChanged = (outcome: StunOutcome | undefined) => outcome?.kind === "success" && !same(outcome.from, server);
  if (isChanged(both)) {
    return known(judgeMapping(outcomes, setting).verdict === "none" ? "none" : "endpoint-independent");
  }
  const isFiltered = (outcome: StunOutcome | undefined, control: NatTest) =>
    outcome?.kind === "silence" && success(outcomes, control) !== null;
  if (isFiltered(port, "map-port")) return known("address-and-port-dependent");
  if (isFiltered(both, "map-both") && isChanged(port)) return known("address-dependent");
  if (isChanged(port)) {
    const why = other.whyNoAddress ?? addressSilent(outcomes, other);
    return unknown(`Another port of the server's gets through; whether another address does is not known: ${why}.`);
  }
  if (isFiltered(both, "map-both")) {
    return unknown("Another address does not get through; whether another port of the same does is not known.");
  }
  return unknown(noChange(port ?? both, other, server));
}

function addressSilent(outcomes: NatOutcomes, { address }: OtherPlace): string {
  const isHeard = success(outcomes, "map-address") !== null || success(outcomes, "map-both") !== null;
  return isHeard ? "the server did not answer each time" : `the server's other address ${address} does not answer`;
}

function noAnswer(outcomes: NatOutcomes): string {
  const outcome = outcomes.get("primary");
  return outcome?.kind === "error" ? `The server refuses (error ${outcome.code}).` : "The server did not answer.";
}

/** Why a request for an answer from elsewhere told nothing. */
function noChange(outcome: StunOutcome | undefined, { address, port }: OtherPlace, server: Endpoint): string {
  if (outcome?.kind === "error") return `The server refuses to answer from elsewhere (error ${outcome.code}).`;
  if (outcome?.kind === "success") return "The server answers from the place it was asked at, whatever is asked of it.";
  const place = formatEndpoint({ address: address ?? server.address, port: port ?? server.port });
  return `Nothing came from the server's other place, and ${place} does not answer when it is asked itself: that says nothing about what filters here.`;
}
