import type { ForwardFact } from "../../core/check/evidence.ts";
import { refusalsBetween } from "../../core/check/refusals.ts";
import type { SiteEvidence } from "../../core/check/site-rules.ts";
import { lookedUp, type NameVerdict } from "../../core/names/leads-here.ts";
import { probeSite } from "../../dataplanes/direct/site-probe.ts";
import type { CheckReport, ForwardInfo } from "../control.ts";
import { reportOf } from "./report.ts";
import { type NameMeans, sightName } from "./site-name.ts";

const PROBE_MS = 5_000;
/** Each is a question to the resolver; a report of more would not be read. */
const MAX_NAMES = 8;
/** A relay listens for sites on every address of its machine, or on this one. */
const ON_THE_RELAY = { visitor: "the relay itself", dialAt: "127.0.0.1" };

export interface SiteCheck {
  readonly site: ForwardInfo;
  /** Null = the relay or the service, whichever has the certificate. */
  readonly tls: SiteEvidence["tls"];
  /** As it is now; null = it is gone. */
  again(): Promise<ForwardInfo | null>;
  readonly names: NameMeans;
  /** From where: another machine than the relay's, to this address of the relay. Absent = on the relay's machine. */
  readonly from?: { readonly visitor: string; readonly dialAt: string };
  readonly signal: AbortSignal;
}

/** Of a forward that is reached by name: where it is. */
export function siteUrl({ endpoints }: ForwardInfo): string | null {
  return endpoints[0]?.url ?? null;
}

/** Whether visitors of a site get in: where its names lead, and what the relay answers to whoever looks. */
export async function checkSite({
  site,
  tls,
  again,
  names,
  from = ON_THE_RELAY,
  signal,
}: SiteCheck): Promise<CheckReport> {
  const [first] = site.endpoints;
  const host = first?.host ?? "";
  const port = first?.port ?? 0;
  const what = siteUrl(site) ?? host;
  const ends = tls ?? "end";
  const [sighted, answer] = await Promise.all([
    Promise.all(site.endpoints.slice(0, MAX_NAMES).map(async (endpoint) => nameOf(names, endpoint.host))),
    site.state !== "disabled"
      ? probeSite({ address: from.dialAt, port, name: lookedUp(host), tls: ends, deadlineMs: PROBE_MS, signal })
      : null,
  ]);
  const after = (await again()) ?? site;
  const evidence: SiteEvidence = {
    kind: "site",
    protocol: "tcp",
    port,
    what,
    name: site.name,
    visitor: from.visitor,
    tls,
    forward: factOf(after),
    message: after.message,
    names: sighted,
    answer,
    refusals: refusalsBetween(countsOf(site), countsOf(after)),
  };
  return reportOf(evidence, host);
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
