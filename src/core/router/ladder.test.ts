import { describe, expect, test } from "bun:test";
import { type Climb, LadderMemory, NOT_ALLOWED, nextStep, type Rung, type Step } from "./ladder.ts";
import { ROUTER_PROTOCOLS, type RouterFailure, type RouterFailureKind, type RouterProtocol } from "./model.ts";

const OWN = { family: 4, host: null } as const;
const OTHER = { family: 4, host: "192.168.1.20" } as const;
const OWN6 = { family: 6, host: null } as const;

function failure(kind: RouterFailureKind, message = `it was ${kind}`): RouterFailure {
  return { kind, code: null, message };
}

type Row = Partial<Omit<Climb, "rungs" | "met">> & {
  /** In the ladder's order; what is left out is unknown. */
  readonly rungs?: readonly (Rung | RouterFailureKind)[];
  readonly met?: Partial<Record<RouterProtocol, RouterFailureKind>>;
};

const KINDS = ["silent", "closed", "unsupported", "conflict", "refused", "exhausted", "no-uplink", "garbled"] as const;

function climb({ rungs = [], met = {}, ...rest }: Row): Climb {
  const known = ROUTER_PROTOCOLS.map((protocol, index): [RouterProtocol, Rung] => {
    const rung = rungs[index] ?? "unknown";
    const kind = KINDS.find((one) => one === rung);
    return [protocol, kind === undefined ? (rung as Rung) : failure(kind)];
  });
  return {
    wish: OWN,
    only: null,
    preferred: null,
    router: "192.168.1.1",
    ...rest,
    rungs: Object.fromEntries(known) as Climb["rungs"],
    met: new Map(Object.entries(met).map(([key, kind]) => [key as RouterProtocol, failure(kind)])),
  };
}

/** `ask pcp`, `probe igd1`, `give up: conflict`. */
function brief(step: Step): string {
  return step.kind === "give-up" ? `give up: ${step.failure.kind}` : `${step.kind} ${step.protocol}`;
}

const ALL = ["answers", "answers", "answers", "answers"] as const;

describe("the next rung", () => {
  const table: [string, Row, string][] = [
    ["nothing known: PCP is probed", {}, "probe pcp"],
    ["PCP answers: it is asked, whatever else is unknown", { rungs: ["answers"] }, "ask pcp"],
    ["no PCP: NAT-PMP is probed", { rungs: ["silent"] }, "probe nat-pmp"],
    ["neither: IGD 2", { rungs: ["closed", "silent", "answers"] }, "ask igd2"],
    ["no IGD 2: IGD 1", { rungs: ["closed", "closed", "unsupported", "answers"] }, "ask igd1"],
    ["PCP garbled for this wish", { rungs: ALL, met: { pcp: "garbled" } }, "ask nat-pmp"],
    ["PCP silent for this wish", { rungs: ALL, met: { pcp: "silent" } }, "ask nat-pmp"],
    ["PCP closed meanwhile", { rungs: ALL, met: { pcp: "closed" } }, "ask nat-pmp"],
    ["PCP and NAT-PMP refuse", { rungs: ALL, met: { pcp: "refused", "nat-pmp": "refused" } }, "ask igd2"],
    ["a conflict is one by every protocol", { rungs: ALL, met: { pcp: "conflict" } }, "give up: conflict"],
    ["so is a full table", { rungs: ALL, met: { igd1: "exhausted" } }, "give up: exhausted"],
    ["so is a line that is down", { rungs: ALL, met: { "nat-pmp": "no-uplink" } }, "give up: no-uplink"],
    ["a probe that said the line was down: that may be over", { rungs: ["closed", "no-uplink"] }, "probe igd2"],
    [
      "another host: PCP refuses THIRD_PARTY, NAT-PMP cannot",
      { wish: OTHER, rungs: ALL, met: { pcp: "unsupported" } },
      "ask igd2",
    ],
    ["IPv6: never NAT-PMP", { wish: OWN6, rungs: ["closed"] }, "probe igd2"],
    [
      "IPv6: no pinholes in IGD 2",
      { wish: OWN6, rungs: ["closed", "answers", "answers"], met: { igd2: "unsupported" } },
      "probe igd1",
    ],
    ["what worked last comes first", { preferred: "igd1", rungs: ALL }, "ask igd1"],
    ["and is probed before what is known", { preferred: "igd1", rungs: ["answers", "answers"] }, "probe igd1"],
    ["what worked last fails: from the top", { preferred: "igd1", rungs: ALL, met: { igd1: "silent" } }, "ask pcp"],
    ["forced: asked", { only: "igd1", rungs: ALL }, "ask igd1"],
    ["forced beats preferred", { only: "igd1", preferred: "pcp", rungs: ALL }, "ask igd1"],
    ["forced and failed: no other", { only: "pcp", rungs: ALL, met: { pcp: "refused" } }, "give up: refused"],
    ["forced and silent: no other", { only: "nat-pmp", rungs: ["answers", "silent"] }, "give up: silent"],
    ["forced NAT-PMP for IPv6", { only: "nat-pmp", wish: OWN6, rungs: ALL }, "give up: unsupported"],
    ["forced NAT-PMP for another host", { only: "nat-pmp", wish: OTHER, rungs: ALL }, "give up: unsupported"],
  ];
  test.each(table)("%s", (_, row, expected) => {
    expect(brief(nextStep(climb(row)))).toBe(expected);
  });
});

describe("what is said when no rung is left", () => {
  const table: [string, Row, string][] = [
    [
      "a refusal before silence",
      { rungs: ["answers", "silent", "silent", "silent"], met: { pcp: "refused" } },
      "refused",
    ],
    [
      "a refusal before what is unsupported",
      { rungs: ALL, met: { pcp: "unsupported", "nat-pmp": "refused", igd2: "silent", igd1: "silent" } },
      "refused",
    ],
    [
      "what was asked before what was probed",
      { rungs: ["answers", "refused", "silent", "silent"], met: { pcp: "garbled" } },
      "garbled",
    ],
    ["silence before a version that is not there", { rungs: ["silent", "closed", "unsupported", "silent"] }, "silent"],
    [
      "a line that is down, when nothing else is there",
      { rungs: ["closed", "no-uplink", "silent", "silent"] },
      "no-uplink",
    ],
    ["all closed is silence", { rungs: ["closed", "closed", "closed", "closed"] }, "silent"],
    [
      "unsupported when asked",
      { wish: OTHER, rungs: ["closed", "closed", "closed", "answers"], met: { igd1: "unsupported" } },
      "unsupported",
    ],
    [
      "another wish's NAT-PMP says nothing here",
      { wish: OWN6, rungs: ["closed", "refused", "closed", "closed"] },
      "silent",
    ],
  ];
  test.each(table)("%s", (_, row, kind) => {
    expect(brief(nextStep(climb(row)))).toBe(`give up: ${kind}`);
  });

  test("silence names the router and what to do; a forced protocol is named", () => {
    const said = (row: Row) => {
      const step = nextStep(climb(row));
      return step.kind === "give-up" ? step.failure.message : "";
    };
    const silent = ["silent", "silent", "silent", "silent"] as const;
    expect(said({ rungs: silent })).toBe(
      "The router at 192.168.1.1 answers neither PCP nor NAT-PMP nor UPnP: turn one on in its settings, forward the port there by hand, or use a relay (hatchway expose --via relay).",
    );
    expect(said({ rungs: silent, only: "pcp" })).toBe(
      "The router at 192.168.1.1 does not answer PCP: turn it on in the router's settings, or let another protocol be used.",
    );
    expect(said({ rungs: [NOT_ALLOWED, NOT_ALLOWED, "silent", "silent"] })).toBe(
      "The router at 192.168.1.1 does not answer UPnP: turn it on in the router's settings, or let another protocol be used.",
    );
    expect(said({ only: "nat-pmp", wish: OWN6 })).toBe("NAT-PMP cannot open IPv6 ports: let another protocol be used.");
  });
});

test("every climb ends: each rung is asked at most once", () => {
  for (const kind of KINDS) {
    const met: Partial<Record<RouterProtocol, RouterFailureKind>> = {};
    for (let steps = 0; ; steps++) {
      expect(steps).toBeLessThanOrEqual(ROUTER_PROTOCOLS.length);
      const step = nextStep(climb({ rungs: ALL, met }));
      if (step.kind === "give-up") break;
      expect(met[step.protocol]).toBeUndefined();
      met[step.protocol] = kind;
    }
  }
});

describe("memory", () => {
  test("is of the router, the family and whose port it is", () => {
    const memory = new LadderMemory();
    memory.worked("home", OWN, "igd1");
    memory.worked("home", OWN6, "pcp");
    const rows = (["home", "work"] as const).map((router) =>
      [OWN, OTHER, OWN6].map((wish) => memory.preferred(router, wish)),
    );
    expect(rows).toEqual([
      ["igd1", null, "pcp"],
      [null, null, null],
    ]);
    memory.worked("home", OWN, "nat-pmp");
    expect(memory.preferred("home", OWN)).toBe("nat-pmp");
  });

  test("is bounded: the routers of long ago are forgotten", () => {
    const memory = new LadderMemory();
    for (let router = 0; router < 1000; router++) memory.worked(`r${router}`, OWN, "pcp");
    expect(memory.preferred("r0", OWN)).toBeNull();
    expect(memory.preferred("r999", OWN)).toBe("pcp");
  });
});
