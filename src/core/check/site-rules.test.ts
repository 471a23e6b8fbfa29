import { describe, expect, test } from "bun:test";
import type { NameVerdict } from "../names/leads-here.ts";
import type { Hop, PortState } from "./evidence.ts";
import { SITE_RULES, type SiteEvidence } from "./site-rules.ts";
import { hopLines, verdictOf } from "./verdict.ts";

const name = (leads: NameVerdict["leads"]): NameVerdict => ({
  leads,
  sentence: `app.example.org leads ${leads}.`,
  remedy: "Make a record.",
  records: [],
});
/** A site that works: each row changes what it is about. */
const SITE: SiteEvidence = {
  kind: "site",
  protocol: "tcp",
  port: 443,
  what: "https://app.example.org",
  name: "app",
  visitor: "the relay itself",
  tls: "end",
  forward: { state: "open" },
  message: null,
  names: [name("here")],
  answer: { kind: "status", status: 200 },
  refusals: [],
};

type Row = readonly [string, Partial<SiteEvidence>, PortState, Hop, boolean?];
const ROWS: readonly Row[] = [
  ["open", {}, "open", "none"],
  ["open", { names: [name("unknown")] }, "open", "none"],
  ["open", { tls: "pass", answer: { kind: "tls" } }, "open", "none"],
  ["open", { answer: { kind: "status", status: 404 } }, "open", "none"],
  ["asks for a password", { answer: { kind: "status", status: 401 } }, "open", "none"],
  ["disabled", { forward: { state: "disabled" }, names: [name("nowhere")], answer: null }, "closed", "policy"],
  ["refused", { forward: { state: "refused", why: "failed", message: "No." }, message: "No." }, "closed", "agent"],
  ["not ready yet", { forward: { state: "waiting" }, message: "It waits." }, "unknown", "relay", false],
  ["name leads nowhere", { names: [name("here"), name("nowhere")] }, "closed", "dns"],
  ["name leads nowhere", { names: [name("nowhere")], answer: { kind: "no-tls" } }, "closed", "dns"],
  ["name leads elsewhere", { names: [name("elsewhere")] }, "closed", "dns", false],
  ["name leads elsewhere", { names: [name("partly")] }, "closed", "dns", false],
  ["agent away", { forward: { state: "away" }, answer: { kind: "status", status: 503 } }, "closed", "agent"],
  ["agent away", { answer: { kind: "status", status: 503 }, refusals: ["deviceAway"] }, "closed", "agent"],
  ["source not allowed", { answer: { kind: "no-tls" }, refusals: ["sourceNotAllowed"] }, "unknown", "policy"],
  ["limit reached", { answer: { kind: "status", status: 503 }, refusals: ["connectionLimit"] }, "closed", "policy"],
  ["no certificate", { answer: { kind: "no-tls" } }, "closed", "relay"],
  [
    "no certificate",
    { forward: { state: "waiting" }, message: "It waits.", answer: { kind: "no-tls" } },
    "closed",
    "relay",
  ],
  ["port not open", { answer: { kind: "none" } }, "closed", "relay"],
  ["service down", { answer: { kind: "status", status: 502 } }, "dead-service", "service"],
  [
    "service down",
    { answer: { kind: "no-tls" }, refusals: ["serviceRefused"], tls: "pass" },
    "dead-service",
    "service",
  ],
  ["service down", { forward: { state: "unhealthy" } }, "dead-service", "service"],
  ["not seen", { answer: { kind: "silent" } }, "unknown", "none", false],
];

describe("a site:", () => {
  for (const [rule, more, state, hop, sure = true] of ROWS) {
    test(`${rule}, of ${JSON.stringify(more)}`, () => {
      const evidence = { ...SITE, ...more };
      const verdict = verdictOf(evidence);
      expect(verdict).toMatchObject({ rule, state, hop, sure });
      expect(verdict.sentence).toEndWith(".");
      const lines = hopLines(evidence, verdict);
      expect(lines.map((line) => line.hop)).toEqual(expect.arrayContaining(["dns", "relay", "agent", "service"]));
      // The hop that is named never looks right.
      const marks = lines.filter((line) => line.hop === hop).map(({ mark }) => mark);
      if (state !== "open" && hop !== "none") expect(marks).toContainEqual(expect.stringMatching(/bad|unknown/));
    });
  }

  test("each rule has its row", () => {
    expect(new Set(ROWS.map(([rule]) => rule))).toEqual(new Set(SITE_RULES.map((rule) => rule.name)));
  });
});
