import { describe, expect, test } from "bun:test";
import { ADDRESS_RULES } from "./address-rules.ts";
import type { AddressEvidence, ForwardEvidence, ForwardFact, Hop, PortState, Saw } from "./evidence.ts";
import { FORWARD_RULES } from "./forward-rules.ts";
import { hopLines, verdictOf } from "./verdict.ts";

/** A forward that works, and a port that does: each row changes what it is about. */
const FORWARD: ForwardEvidence = {
  kind: "forward",
  side: "agent",
  protocol: "tcp",
  port: 25_565,
  what: "relay.example:25565/tcp",
  service: { at: "127.0.0.1:25565", saw: "open", loopbackOnly: false },
  vantage: "open",
  answers: true,
  stoodIn: null,
  name: "game",
  linkDown: null,
  forward: { state: "open" },
  entry: { state: "open" },
  allowsVisitor: true,
  visitor: "192.0.2.7",
  refusals: [],
  reached: true,
};
const ADDRESS: AddressEvidence = {
  kind: "address",
  protocol: "tcp",
  port: 25_565,
  what: "192.0.2.7:25565/tcp",
  service: { at: "192.168.1.20:25565", saw: "open", loopbackOnly: false },
  vantage: "open",
  answers: true,
  stoodIn: null,
  unseen: null,
  arrived: null,
  behindNat: true,
  router: null,
  forward: null,
};

const service = (saw: Saw | null, loopbackOnly = false) => ({ service: { at: "S:1", saw, loopbackOnly } });
const refused = (why: "policy" | "conflict" | "failed"): ForwardFact => ({ state: "refused", why, message: "Why." });
const down = { linkDown: { message: "no route.", rejected: false } };
const udp = { protocol: "udp" } as const;
/** Nothing of a visitor came to the relay. */
const missed = { reached: false };

type Row<E> = readonly [rule: string, change: Partial<E>, state: PortState, hop: Hop, sure?: boolean];

const FORWARD_TABLE: readonly Row<ForwardEvidence>[] = [
  ["open", {}, "open", "none"],
  ["open", { ...udp, ...service("silent") }, "open", "none"],
  ["disabled", { forward: { state: "disabled" }, vantage: null }, "closed", "policy"],
  ["disabled", { entry: { state: "disabled" }, vantage: "closed" }, "closed", "policy"],
  ["not run", { forward: { state: "not-run" }, vantage: null, ...down }, "closed", "agent"],
  ["turned away", { linkDown: { message: "Join again.", rejected: true }, vantage: "open" }, "closed", "agent"],
  ["not connected, and the relay answers", { ...down, vantage: "ended", entry: null }, "closed", "agent"],
  ["not connected, and the relay answers", { ...down, vantage: "closed", ...service("closed") }, "closed", "agent"],
  ["not connected, and the relay is silent", { ...down, vantage: "filtered", entry: null }, "filtered", "relay"],
  ["not connected, and the relay is silent", { ...down, ...udp, vantage: "silent" }, "unknown", "relay", false],
  ["port taken", { forward: refused("conflict"), entry: null, vantage: null }, "closed", "relay"],
  ["refused by the relay's rules", { forward: refused("policy"), entry: null, vantage: null }, "closed", "policy"],
  ["refused", { forward: refused("failed"), entry: null, vantage: null }, "closed", "relay"],
  ["no forward, and something else answers", { forward: { state: "none" }, entry: null }, "closed", "relay"],
  ["no forward", { forward: { state: "none" }, vantage: "closed", reached: null }, "closed", "relay"],
  ["no forward", { entry: { state: "none" }, vantage: "filtered", ...missed }, "closed", "relay"],
  ["not answered yet", { forward: { state: "waiting" }, entry: null, vantage: null }, "unknown", "relay", false],
  ["not open on the relay", { entry: refused("failed"), vantage: "closed", ...missed }, "closed", "relay"],
  ["agent away", { side: "relay", forward: { state: "away" }, entry: null, vantage: "ended" }, "closed", "agent"],
  ["agent away", { entry: { state: "away" }, vantage: "closed" }, "closed", "agent"],
  ["agent away", { refusals: ["deviceAway"], vantage: "closed", reached: null }, "closed", "agent"],
  ["source not allowed", { allowsVisitor: false, vantage: "closed", ...missed }, "closed", "policy"],
  ["source not allowed", { side: "relay", refusals: ["sourceNotAllowed"], vantage: "ended" }, "unknown", "policy"],
  ["limit reached", { refusals: ["connectionLimit"], vantage: "ended" }, "closed", "policy"],
  ["limit reached", { refusals: ["rateLimit"], vantage: "closed" }, "closed", "policy"],
  ["dropped before the relay", { vantage: "filtered", ...missed }, "filtered", "relay", false],
  ["refused before the relay", { vantage: "closed", ...missed }, "closed", "relay", false],
  ["refused before the relay", { vantage: "unreachable", ...missed }, "filtered", "relay", false],
  ["datagrams do not reach the relay", { ...udp, vantage: "silent", ...missed }, "filtered", "relay", false],
  ["nothing listens; the way is open", { ...service("closed"), stoodIn: true }, "dead-service", "service"],
  ["service down", { ...service("closed"), vantage: "ended" }, "dead-service", "service"],
  ["service down", { ...service("unreachable"), vantage: "open" }, "dead-service", "service"],
  ["service down", { ...service("filtered"), vantage: "open" }, "dead-service", "service"],
  ["service down", { entry: { state: "unhealthy" }, vantage: "ended" }, "dead-service", "service"],
  [
    "service down",
    { side: "relay", ...service(null), refusals: ["serviceRefused"], vantage: "closed" },
    "dead-service",
    "service",
  ],
  ["service down", { ...udp, ...service("closed"), vantage: "silent" }, "dead-service", "service"],
  ["turned away by the agent", { refusals: ["exitNotAllowed"], vantage: "ended" }, "closed", "agent"],
  ["service ends the connection", { vantage: "ended", ...service("ended") }, "dead-service", "service"],
  ["service ends the connection", { vantage: "ended" }, "dead-service", "service", false],
  [
    "came through, and is not answered by design",
    { ...udp, vantage: "silent", answers: false, ...service("silent") },
    "open",
    "none",
  ],
  ["service silent", { ...udp, vantage: "silent", ...service("silent") }, "dead-service", "service"],
  ["service silent", { ...udp, side: "relay", vantage: "silent", ...service(null) }, "dead-service", "service", false],
  ["answer lost", { ...udp, vantage: "silent" }, "unknown", "relay", false],
  ["not seen", { vantage: null, entry: null, allowsVisitor: null, reached: null }, "unknown", "none", false],
  ["not seen", { vantage: "failed", reached: null }, "unknown", "none", false],
];

const shut = { vantage: "filtered" } as const;
const byGateway = (fact: ForwardFact) => ({ forward: { name: "web", by: "gateway", fact } }) as const;
const byAgent = (fact: ForwardFact) => ({ forward: { name: "web", by: "agent", fact } }) as const;
const byRouter = (fact: ForwardFact) => ({ forward: { name: "web", by: "router", fact } }) as const;
const router = (holds: boolean | null, nat: "cgnat" | "double-nat" | "blocked" | "ipv6-only" | null = null) => ({
  router: { holds, nat },
});
const unseen = { vantage: null, unseen: "no relay was asked.", behindNat: null } as const;

const ADDRESS_TABLE: readonly Row<AddressEvidence>[] = [
  ["open", {}, "open", "none"],
  ["open", { ...router(false, "cgnat") }, "open", "none"],
  ["open", { ...udp, ...service("silent") }, "open", "none"],
  ["router forgot, another has it", { arrived: false, ...router(false) }, "closed", "router"],
  ["router forgot, another has it", { arrived: false, ...router(false), ...service("closed") }, "closed", "router"],
  ["open, most likely elsewhere", { arrived: false, ...router(null) }, "open", "router", false],
  ["disabled", { ...byGateway({ state: "disabled" }), ...shut }, "closed", "policy"],
  ["port taken here", { ...byRouter(refused("conflict")), ...shut }, "closed", "router"],
  ["not run", { ...byRouter({ state: "not-run" }), ...shut, arrived: false, ...router(false) }, "filtered", "agent"],
  ["not run", { ...byAgent({ state: "not-run" }), vantage: "closed", ...service("closed") }, "closed", "agent"],
  ["open", byRouter({ state: "not-run" }), "open", "none"],
  ["port taken here", { ...byAgent(refused("conflict")), ...shut }, "closed", "agent"],
  ["port taken here", { ...byGateway(refused("failed")), ...unseen }, "closed", "router"],
  ["port taken here", { ...byGateway(refused("policy")), ...unseen }, "closed", "policy"],
  ["nothing listens; the way is open", { ...service("closed"), stoodIn: true }, "dead-service", "service"],
  ["open, elsewhere", { ...service("closed"), stoodIn: false }, "open", "router"],
  ["open, elsewhere", service("closed"), "open", "router"],
  ["loopback only", { ...service("closed", true), vantage: "closed" }, "closed", "service"],
  ["loopback only", { ...service("closed", true), ...unseen }, "closed", "service"],
  ["nobody looked, nothing listens", { ...unseen, ...service("closed") }, "closed", "service"],
  ["nobody looked, the service is silent", { ...udp, ...unseen, ...service("silent") }, "dead-service", "service"],
  ["nobody looked", unseen, "unknown", "none", false],
  ["nobody looked", { ...udp, ...unseen, ...service("silent"), answers: false }, "unknown", "none", false],
  ["carrier-grade NAT", { ...shut, ...router(true, "cgnat"), arrived: false }, "filtered", "isp"],
  ["blocked by the provider", { ...shut, ...router(null, "blocked") }, "filtered", "isp"],
  ["blocked by the provider", { ...shut, ...router(null, "ipv6-only") }, "filtered", "isp"],
  ["double NAT", { vantage: "closed", ...router(true, "double-nat") }, "closed", "router"],
  ["router forgot", { ...shut, ...router(false) }, "filtered", "router"],
  ["router forgot", { vantage: "closed", ...router(false), arrived: false, ...service("closed") }, "closed", "router"],
  ["service silent", { ...udp, vantage: "silent", ...service("silent"), arrived: true }, "dead-service", "service"],
  ["service silent", { ...udp, vantage: "silent", ...service("silent") }, "dead-service", "service"],
  [
    "came, and is not answered by design",
    { ...udp, vantage: "silent", ...service("silent"), answers: false, arrived: true },
    "open",
    "none",
    false,
  ],
  ["service down", { vantage: "closed", ...service("closed"), arrived: true }, "dead-service", "service"],
  ["firewall here, seen", { ...shut, arrived: true }, "filtered", "host-firewall"],
  ["firewall here, seen", { vantage: "closed", arrived: true, ...router(false) }, "closed", "host-firewall"],
  [
    "firewall here, seen",
    { ...shut, arrived: true, ...service("closed"), stoodIn: false },
    "filtered",
    "host-firewall",
  ],
  ["firewall here, seen", { ...udp, vantage: "silent", arrived: true }, "filtered", "host-firewall"],
  [
    "never came, with a router that has the mapping",
    { ...shut, arrived: false, ...router(true) },
    "filtered",
    "isp",
    false,
  ],
  ["never came, with a router", { ...shut, arrived: false }, "filtered", "router"],
  ["never came, with a router", { vantage: "closed", arrived: false, ...service("closed") }, "closed", "router"],
  ["never came, without a router", { ...shut, arrived: false, behindNat: false }, "filtered", "isp"],
  ["refused, and nothing listens", { vantage: "closed", ...service("closed") }, "closed", "service", false],
  [
    "refused before it came here",
    { vantage: "closed", ...service("closed"), stoodIn: false },
    "closed",
    "router",
    false,
  ],
  [
    "refused before it came here",
    { vantage: "closed", ...service("closed"), stoodIn: false, behindNat: false },
    "closed",
    "host-firewall",
    false,
  ],
  [
    "not answered by design, and not seen to come",
    { ...udp, vantage: "silent", ...service("silent"), answers: false },
    "unknown",
    "none",
    false,
  ],
  ["firewall here, most likely", { ...shut, behindNat: false }, "filtered", "host-firewall", false],
  ["firewall here, most likely", { ...shut, ...router(true) }, "filtered", "host-firewall", false],
  ["router, most likely", shut, "filtered", "router", false],
  ["router, most likely", { vantage: "closed", behindNat: null }, "closed", "router", false],
  ["router, most likely", { vantage: "unreachable" }, "filtered", "router", false],
  ["could not look", { vantage: "failed" }, "unknown", "none", false],
];

describe("a forward of a relay", () => {
  for (const [rule, change, state, hop, sure = true] of FORWARD_TABLE) {
    test(`${rule}: ${JSON.stringify(change)}`, () => {
      expect(verdictOf({ ...FORWARD, ...change })).toMatchObject({ rule, state, hop, sure });
    });
  }

  test("every rule has a row", () => {
    const named = new Set(FORWARD_TABLE.map(([rule]) => rule));
    expect(FORWARD_RULES.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);
  });
});

describe("a port of one's own address", () => {
  for (const [rule, change, state, hop, sure = true] of ADDRESS_TABLE) {
    test(`${rule}: ${JSON.stringify(change)}`, () => {
      expect(verdictOf({ ...ADDRESS, ...change })).toMatchObject({ rule, state, hop, sure });
    });
  }

  test("every rule has a row", () => {
    const named = new Set(ADDRESS_TABLE.map(([rule]) => rule));
    expect(ADDRESS_RULES.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);
  });
});

/** Every combination of the values, one record each. */
function* combinations<T extends object>(values: { readonly [K in keyof T]: readonly T[K][] }): Generator<T> {
  const keys = Object.keys(values) as (keyof T)[];
  const pick = function* (at: number, so: Partial<T>): Generator<T> {
    const key = keys[at];
    if (key === undefined) yield so as T;
    else for (const value of values[key]) yield* pick(at + 1, { ...so, [key]: value });
  };
  yield* pick(0, {});
}

const SEEN: readonly (Saw | null)[] = ["open", "ended", "closed", "filtered", "silent", "unreachable", "failed", null];

/** What holds of every verdict, whatever the evidence. */
function isWellFormed(evidence: ForwardEvidence | AddressEvidence): string | null {
  const verdict = verdictOf(evidence);
  const lines = hopLines(evidence, verdict);
  const sentences = [verdict.sentence, ...(verdict.remedy === null ? [] : [verdict.remedy])];
  if (sentences.some((text) => !/^\S.*[.!]$/.test(text) || text.includes("undefined"))) return `sentence: ${sentences}`;
  if (verdict.state === "open" && evidence.vantage !== "open" && evidence.vantage !== "ended" && evidence.answers)
    return "open, and nobody saw it";
  if (verdict.hop === "none" && verdict.state !== "open" && verdict.state !== "unknown") return "shut, and nowhere";
  if (verdict.hop !== "none" && verdict.state !== "open") {
    const line = lines.find(({ hop }) => hop === verdict.hop);
    if (line === undefined || line.mark === "ok") return `the line of ${verdict.hop} says ${line?.mark}`;
  }
  if (lines.some(({ text }) => text.trim() === "" || text.includes("undefined")))
    return `lines: ${JSON.stringify(lines)}`;
  return null;
}

test("whatever is known of a forward, the verdict holds together", () => {
  const facts: readonly ForwardFact[] = [
    { state: "open" },
    { state: "waiting" },
    { state: "disabled" },
    { state: "away" },
    { state: "unhealthy" },
    { state: "none" },
    { state: "not-run" },
    refused("conflict"),
    refused("policy"),
  ];
  const wrong = new Set<string>();
  for (const change of combinations<Partial<ForwardEvidence>>({
    vantage: SEEN,
    service: SEEN.map((saw) => service(saw).service),
    forward: facts,
    entry: [null, { state: "open" }, { state: "away" }, refused("failed")],
    allowsVisitor: [true, false, null],
    refusals: [[], ["serviceRefused"], ["deviceAway"], ["connectionLimit"]],
    reached: [true, false, null],
    stoodIn: [true, null],
    answers: [true, false],
  })) {
    const problem = isWellFormed({ ...FORWARD, ...change });
    if (problem !== null) wrong.add(problem);
  }
  expect([...wrong]).toEqual([]);
});

test("whatever is known of a port, the verdict holds together", () => {
  const wrong = new Set<string>();
  for (const change of combinations<Partial<AddressEvidence>>({
    vantage: SEEN,
    service: [...SEEN.map((saw) => service(saw).service), service("closed", true).service],
    stoodIn: [true, false, null],
    arrived: [true, false, null],
    behindNat: [true, false, null],
    router: [
      null,
      router(true).router,
      router(false).router,
      router(null, "cgnat").router,
      router(null, "double-nat").router,
    ],
    forward: [
      null,
      byAgent({ state: "open" }).forward,
      byRouter({ state: "not-run" }).forward,
      byGateway(refused("failed")).forward,
    ],
    answers: [true, false],
  })) {
    const problem = isWellFormed({ ...ADDRESS, ...change });
    if (problem !== null) wrong.add(problem);
  }
  expect([...wrong]).toEqual([]);
});
