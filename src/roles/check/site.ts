import type { ForwardFact } from "../../core/check/evidence.ts";
import { refusalsBetween } from "../../core/check/refusals.ts";
import type { SiteAnswer, SiteEvidence } from "../../core/check/site-rules.ts";
import { lookedUp, type NameVerdict } from "../../core/names/leads-here.ts";
import { probeSite } from "../../dataplanes/direct/site-probe.ts";
import type { CheckReport, ForwardInfo } from "../control.ts";
import { reportOf } from "./report.ts";
import { type NameMeans, sightName } from "./site-name.ts";

const PROBE_MS = 5_000;
/** Each is a question to the resolver; a report of more would not be read. */
const MAX_NAMES = 8;
const LOOPBACK = "127.0.0.1";

export interface SiteCheck {
  readonly site: ForwardInfo;
  readonly tls: SiteEvidence["tls"];
  /** As it is now; null = it is gone. */
  again(): Promise<ForwardInfo | null>;
  readonly names: NameMeans;
  /** Who looks: the relay's own machine, or that of a device. */
  readonly side: "relay" | "agent";
  readonly signal: AbortSignal;
}

/** Whether visitors of a site get in: where its names lead, and what the relay answers to whoever looks. */
export async function checkSite({ site, tls, again, names, side, signal }: SiteCheck): Promise<CheckReport> {
  const [first] = site.endpoints;
  const host = first?.host ?? "";
  const port = first?.port ?? 0;
  const ask = (address: string) =>
    probeSite({ address, port, name: lookedUp(host), tls, deadlineMs: PROBE_MS, signal });
  const [sighted, answer] = await Promise.all([
    Promise.all(site.endpoints.slice(0, MAX_NAMES).map(async (endpoint) => nameOf(names, endpoint.host))),
    site.state === "disabled" ? null : askAt(await addressesOf(side, names), ask),
  ]);
  const after = (await again()) ?? site;
  const evidence: SiteEvidence = {
    kind: "site",
    protocol: "tcp",
    port,
    what: first?.url ?? host,
    name: site.name,
    visitor: side === "relay" ? "the relay itself" : "this machine",
    tls,
    forward: factOf(after),
    message: after.message,
    names: sighted,
    answer,
    refusals: refusalsBetween(countsOf(site), countsOf(after)),
  };
  return reportOf(evidence, host);
}

/** Where the relay listens for sites: on its own machine mostly on every address, and else on the one that visitors come to. */
async function addressesOf(side: SiteCheck["side"], { resolver, publicHost }: NameMeans): Promise<readonly string[]> {
  const [address] = await resolver.resolve(publicHost);
  return [...(side === "relay" ? [LOOPBACK] : []), ...(address === undefined ? [] : [address])];
}

/** At the first of the addresses where anything is. */
async function askAt(addresses: readonly string[], ask: (address: string) => Promise<SiteAnswer>): Promise<SiteAnswer> {
  for (const address of addresses) {
    const answer = await ask(address);
    if (answer.kind !== "none") return answer;
  }
  return { kind: "none" };
}

async function nameOf(means: NameMeans, host: string): Promise<NameVerdict> {
  const sentence = `${host} was not looked up: the resolver here did not answer.`;
  return (await sightName(means, host)) ?? { leads: "unknown", sentence, remedy: null, records: [] };
}

function countsOf({ counters }: ForwardInfo): Record<string, number> {
  return { ...counters.refused } as Record<string, number>;
}

function factOf({ state, message }: ForwardInfo): ForwardFact {
  return state === "refused" ? { state, why: "failed", message: message ?? "" } : { state };
}
