import type { ReasonName } from "../../wire/reason.ts";
import type { NameVerdict } from "../names/leads-here.ts";
import type { ForwardFact, HopLine } from "./evidence.ts";
import type { Rule } from "./rule.ts";

/** What a request to a site's port on the relay's own machine came to. */
export type SiteAnswer =
  /** Nothing took the connection. */
  | { readonly kind: "none" }
  /** TLS was refused, or ended before it was there. */
  | { readonly kind: "no-tls" }
  /** TLS is there, and is not the relay's to speak in. */
  | { readonly kind: "tls" }
  | { readonly kind: "status"; readonly status: number }
  /** Nothing came back in time, or nothing of HTTP. */
  | { readonly kind: "silent" };

/** A site, seen from the relay that has it, or from the device that serves it. The visitor of the check is whoever looks. */
export interface SiteEvidence {
  readonly kind: "site";
  readonly protocol: "tcp";
  /** Where visitors come by. */
  readonly port: number;
  /** `https://app.example.org`. */
  readonly what: string;
  readonly name: string;
  /** Who looks: `the relay itself`. */
  readonly visitor: string;
  readonly tls: "off" | "end" | "pass";
  readonly forward: ForwardFact;
  /** Why it is not open, as its list says it; null = it is. */
  readonly message: string | null;
  /** Of each name that was looked up. */
  readonly names: readonly NameVerdict[];
  /** Null = it was not asked, since the forward is off. */
  readonly answer: SiteAnswer | null;
  /** Why the relay or the agent turned somebody away during the check. */
  readonly refusals: readonly ReasonName[];
}

type E = SiteEvidence;

const OF_LIMITS: readonly ReasonName[] = ["connectionLimit", "rateLimit"];
const OF_THE_AGENT: readonly ReasonName[] = ["deviceAway", "carrierLost", "noForward", "exitNotAllowed", "resources"];
const OF_THE_SERVICE: readonly ReasonName[] = [
  "serviceRefused",
  "serviceTimeout",
  "serviceUnreachable",
  "hostNotFound",
  "unhealthy",
];
const UNAUTHORIZED = 401;
/** What the relay says in the service's place. */
const NO_SERVICE: readonly number[] = [502, 504];

const says = (e: E, reasons: readonly ReasonName[]): boolean => e.refusals.some((one) => reasons.includes(one));
const isDead = (e: E): boolean =>
  e.forward.state === "unhealthy" ||
  says(e, OF_THE_SERVICE) ||
  (e.answer?.kind === "status" && NO_SERVICE.includes(e.answer.status)) ||
  (e.answer?.kind === "no-tls" && e.tls === "pass");
const asked = (e: E): boolean => e.answer?.kind === "status" && e.answer.status === UNAUTHORIZED;
const lacksCertificate = (e: E): boolean => e.answer?.kind === "no-tls" && e.tls === "end" && e.refusals.length === 0;
/** Of the names that lead elsewhere, or nowhere, the first. */
const astray = (e: E): NameVerdict | null =>
  e.names.find(({ leads }) => leads === "nowhere") ??
  e.names.find(({ leads }) => leads === "elsewhere" || leads === "partly") ??
  null;

/** From the visitor's side inwards. The first rule that applies decides. */
export const SITE_RULES: readonly Rule<E>[] = [
  {
    name: "disabled",
    when: (e) => e.forward.state === "disabled",
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `"${e.name}" is off, so ${e.what} is answered by nobody.`,
      remedy: "Turn it on.",
    }),
  },
  {
    name: "name leads nowhere",
    when: (e) => astray(e)?.leads === "nowhere",
    say: (e) => ({ state: "closed", hop: "dns", ...wordsOf(astray(e)) }),
  },
  {
    name: "name leads elsewhere",
    when: (e) => astray(e) !== null,
    say: (e) => ({ state: "closed", hop: "dns", sure: false, ...wordsOf(astray(e)) }),
  },
  {
    name: "no certificate",
    when: lacksCertificate,
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `The relay has no certificate for ${e.what} yet, so it refuses TLS there.`,
      remedy: e.message ?? "Wait a minute if the site is new; then the relay's log says why the order came to nothing.",
    }),
  },
  {
    name: "refused",
    when: (e) => e.forward.state === "refused",
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: e.message ?? `"${e.name}" is refused.`,
      remedy: null,
    }),
  },
  {
    name: "not ready yet",
    when: (e) => e.forward.state === "waiting",
    say: (e) => ({
      state: "unknown",
      hop: "relay",
      sure: false,
      sentence: e.message ?? `"${e.name}" is not open yet.`,
      remedy: "Check again in a minute.",
    }),
  },
  {
    name: "agent away",
    when: (e) => e.forward.state === "away" || says(e, OF_THE_AGENT),
    say: (e) => ({
      state: "closed",
      hop: "agent",
      sentence: `The device that serves "${e.name}" is not connected, or does not serve it: visitors of ${e.what} are told to try again later.`,
      remedy: "Start its agent, or see in its log why it cannot connect.",
    }),
  },
  {
    name: "source not allowed",
    when: (e) => says(e, ["sourceNotAllowed"]),
    say: (e) => ({
      state: "unknown",
      hop: "policy",
      sentence: `"${e.name}" does not let ${e.visitor} in; for sources that it allows this says nothing.`,
      remedy: "Open it from an address that may come in.",
    }),
  },
  {
    name: "limit reached",
    when: (e) => says(e, OF_LIMITS),
    say: (e) => ({
      state: "closed",
      hop: "policy",
      sentence: `"${e.name}" has as many visitors as its limits allow, so ${e.what} takes no more.`,
      remedy: "Wait, or raise its limits.",
    }),
  },
  {
    name: "port not open",
    when: (e) => e.answer?.kind === "none",
    say: (e) => ({
      state: "closed",
      hop: "relay",
      sentence: `The relay's port ${e.port} for sites takes no connection from ${e.visitor}.`,
      remedy: "See the relay's log, the [names] of its hatchway.toml, and the firewall of its machine.",
    }),
  },
  {
    name: "service down",
    when: isDead,
    say: (e) => ({
      state: "dead-service",
      hop: "service",
      sentence: `Visitors of ${e.what} come to the device, but the service behind it ${e.tls === "pass" ? "speaks no TLS for this name" : "does not answer"}.`,
      remedy: `Start the service behind "${e.name}", or correct where it leads.`,
    }),
  },
  {
    name: "asks for a password",
    when: asked,
    say: (e) => ({
      state: "open",
      hop: "none",
      sentence: `${e.what} is open, and asks visitors for a password.`,
      remedy: null,
    }),
  },
  {
    name: "open",
    when: (e) => e.answer?.kind === "status" || e.answer?.kind === "tls",
    say: (e) => ({
      state: "open",
      hop: "none",
      sentence: `${e.what} is open, and the service behind it answers.`,
      remedy: null,
    }),
  },
  {
    name: "not seen",
    when: () => true,
    say: (e) => ({
      state: "unknown",
      hop: "none",
      sure: false,
      sentence: `Whether ${e.what} works could not be seen: nothing came back in time.`,
      remedy: "Check again.",
    }),
  },
];

function wordsOf(verdict: NameVerdict | null): Pick<NameVerdict, "sentence" | "remedy"> {
  return { sentence: verdict?.sentence ?? "", remedy: verdict?.remedy ?? null };
}

const MARK = { here: "ok", partly: "bad", elsewhere: "bad", nowhere: "bad", unknown: "unknown" } as const;

/** What is known of each hop, in the order of the way. */
export function siteLines(e: E): HopLine[] {
  const dns = e.names.map(({ leads, sentence }): HopLine => ({ hop: "dns", mark: MARK[leads], text: sentence }));
  return [...dns, relayLine(e), agentLine(e), serviceLine(e)];
}

function relayLine(e: E): HopLine {
  const hop = "relay";
  const { answer, tls, port } = e;
  if (answer === null) return { hop, mark: "unknown", text: `port ${port} was not tried` };
  if (answer.kind === "none") return { hop, mark: "bad", text: `nothing answers at its port ${port}` };
  if (lacksCertificate(e)) return { hop, mark: "bad", text: "has no certificate for it to show" };
  return {
    hop,
    mark: "ok",
    text: tls === "end" ? `takes visitors at port ${port}, and has a certificate` : `takes visitors at port ${port}`,
  };
}

function agentLine(e: E): HopLine {
  const hop = "agent";
  switch (e.forward.state) {
    case "open":
    case "unhealthy":
      if (says(e, OF_THE_AGENT)) return { hop, mark: "bad", text: "did not take the visitor" };
      return { hop, mark: "ok", text: "is connected" };
    case "disabled":
      return { hop, mark: "unknown", text: "is not asked, since it is off" };
    case "refused":
      return { hop, mark: "bad", text: e.forward.message };
    case "away":
    case "waiting":
    case "none":
    case "not-run":
      return { hop, mark: "bad", text: "is not connected, or does not serve it" };
    default:
      return e.forward satisfies never;
  }
}

function serviceLine(e: E): HopLine {
  const hop = "service";
  if (isDead(e)) return { hop, mark: "bad", text: "does not answer" };
  if (asked(e)) return { hop, mark: "unknown", text: "was perhaps not asked: a password is wanted first" };
  if (e.refusals.length > 0) return { hop, mark: "unknown", text: "was not asked" };
  if (e.answer?.kind === "status") return { hop, mark: "ok", text: `answers with status ${e.answer.status}` };
  if (e.answer?.kind === "tls") return { hop, mark: "ok", text: "speaks TLS for this name" };
  return { hop, mark: "unknown", text: "was not seen" };
}
