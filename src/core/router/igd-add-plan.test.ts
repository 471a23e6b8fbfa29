import { describe, expect, test } from "bun:test";
import { AddPlan, type AddPlanOptions, LONGEST_LEASE_SEC } from "./igd-add-plan.ts";
import type { Grant, MappingWish, RouterFailureKind } from "./model.ts";

const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "192.168.1.5",
  internalPort: 80,
  externalPort: 8080,
  exact: true,
  lifetimeSec: 3600,
  description: "web",
};
const HELD: Grant = { externalAddress: null, externalPort: 8081, lifetimeSec: 3600, ticket: "" };

interface Case {
  readonly name: string;
  readonly wish?: Partial<MappingWish>;
  readonly over?: Partial<Omit<AddPlanOptions, "wish">>;
  /** What the router answers, in turn. */
  readonly codes: readonly (number | null)[];
  /** `add PORT LEASE` or `any PORT LEASE`, the first included. */
  readonly asked: readonly string[];
  /** Null = it goes on asking. */
  readonly failure?: RouterFailureKind | null;
}

const CASES: readonly Case[] = [
  { name: "as it is wished", codes: [], asked: ["add 8080 3600"] },
  { name: "for good, of version 1", wish: { lifetimeSec: null }, codes: [], asked: ["add 8080 0"] },
  {
    name: "for good, of version 2",
    wish: { lifetimeSec: null },
    over: { version: 2 },
    codes: [],
    asked: [`add 8080 ${LONGEST_LEASE_SEC}`],
  },
  {
    name: "no longer than version 2 has it",
    wish: { lifetimeSec: 1e9 },
    over: { version: 2 },
    codes: [],
    asked: [`add 8080 ${LONGEST_LEASE_SEC}`],
  },
  {
    name: "no lease of nothing, which would be for good",
    wish: { lifetimeSec: 0.5 },
    codes: [],
    asked: ["add 8080 1"],
  },
  { name: "renewed: the port that is held", over: { held: HELD }, codes: [], asked: ["add 8081 3600"] },
  { name: "a router that is known for it", over: { permanentOnly: true }, codes: [], asked: ["add 8080 0"] },

  ...[725, 402, 600, 601, 501].map((code) => ({
    name: `${code}: without a lease`,
    codes: [code],
    asked: ["add 8080 3600", "add 8080 0"],
  })),
  { name: "725 twice", codes: [725, 725], asked: ["add 8080 3600", "add 8080 0"], failure: "refused" },
  { name: "402 twice", codes: [402, 402], asked: ["add 8080 3600", "add 8080 0"], failure: "refused" },
  { name: "501 twice: taken", codes: [501, 501], asked: ["add 8080 3600", "add 8080 0"], failure: "conflict" },
  {
    name: "402 to what has no lease",
    wish: { lifetimeSec: null },
    codes: [402],
    asked: ["add 8080 0"],
    failure: "refused",
  },
  {
    name: "501 to what has no lease",
    wish: { lifetimeSec: null },
    codes: [501],
    asked: ["add 8080 0"],
    failure: "conflict",
  },
  { name: "725, then taken", codes: [725, 718], asked: ["add 8080 3600", "add 8080 0"], failure: "conflict" },

  { name: "taken, and that port or none", codes: [718], asked: ["add 8080 3600"], failure: "conflict" },
  {
    name: "taken of version 1: the caller chooses",
    wish: { exact: false },
    codes: [718],
    asked: ["add 8080 3600"],
    failure: "conflict",
  },
  {
    name: "taken of version 2",
    wish: { exact: false },
    over: { version: 2 },
    codes: [718],
    asked: ["add 8080 3600", "any 8080 3600"],
  },
  {
    name: "taken of version 2, and that port or none",
    over: { version: 2 },
    codes: [718],
    asked: ["add 8080 3600"],
    failure: "conflict",
  },
  {
    name: "used by the router itself",
    wish: { exact: false },
    over: { version: 2 },
    codes: [729],
    asked: ["add 8080 3600", "any 8080 3600"],
  },
  {
    name: "501 of version 2: without a lease, then any port with one",
    wish: { exact: false },
    over: { version: 2 },
    codes: [501, 501],
    asked: ["add 8080 3600", "add 8080 0", "any 8080 3600"],
  },
  {
    name: "725 of version 2: any port without a lease either",
    wish: { exact: false },
    over: { version: 2 },
    codes: [725, 718],
    asked: ["add 8080 3600", "add 8080 0", "any 8080 0"],
  },
  {
    name: "any port of version 2, and it has none",
    wish: { exact: false },
    over: { version: 2 },
    codes: [718, 728],
    asked: ["add 8080 3600", "any 8080 3600"],
    failure: "exhausted",
  },
  {
    name: "a version 2 that cannot choose",
    wish: { exact: false },
    over: { version: 2 },
    codes: [718, 401],
    asked: ["add 8080 3600", "any 8080 3600"],
    failure: "conflict",
  },
  {
    name: "held and taken meanwhile: it is lost",
    wish: { exact: false },
    over: { version: 2, held: HELD },
    codes: [718],
    asked: ["add 8081 3600"],
    failure: "conflict",
  },

  {
    name: "any port of version 2",
    wish: { externalPort: 0, exact: false },
    over: { version: 2 },
    codes: [],
    asked: ["any 80 3600"],
  },
  {
    name: "any port of a version 2 that cannot choose",
    wish: { externalPort: 0, exact: false },
    over: { version: 2 },
    codes: [602, 718],
    asked: ["any 80 3600", "add 80 3600", "add 45000 3600"],
  },
  {
    name: "any port of version 1: the inner one, then some by lot",
    wish: { externalPort: 0, exact: false },
    codes: [718, 718, 718, 718, 718],
    asked: ["add 80 3600", ...Array<string>(4).fill("add 45000 3600")],
    failure: "conflict",
  },
  {
    name: "any port of version 1 that just fails",
    wish: { externalPort: 0, exact: false },
    codes: [501, 501],
    asked: ["add 80 3600", "add 80 0", "add 45000 3600"],
  },

  {
    name: "the same port inside and outside",
    wish: { exact: false },
    codes: [724],
    asked: ["add 8080 3600", "add 80 3600"],
  },
  { name: "the same port, and that one or none", codes: [724], asked: ["add 8080 3600"], failure: "conflict" },
  {
    name: "the same port, which it is",
    wish: { exact: false, externalPort: 80 },
    codes: [724],
    asked: ["add 80 3600"],
    failure: "conflict",
  },
  {
    name: "the same port, and it is taken",
    wish: { exact: false },
    codes: [724, 718],
    asked: ["add 8080 3600", "add 80 3600"],
    failure: "conflict",
  },

  ...(
    [
      [606, "refused"],
      [728, "exhausted"],
      [603, "exhausted"],
      [716, "refused"],
      [726, "refused"],
      [727, "refused"],
      [732, "refused"],
      [713, "refused"],
      [714, "refused"],
      [401, "unsupported"],
      [602, "unsupported"],
      [899, "refused"],
      [null, "refused"],
    ] as const
  ).map(([code, failure]) => ({ name: `${code}`, codes: [code], asked: ["add 8080 3600"], failure })),
];

describe("what is asked", () => {
  test.each(CASES.map((one) => [one.name, one] as const))(
    "%s",
    (_name, { wish, over, codes, asked, failure = null }) => {
      const plan = new AddPlan({
        wish: { ...WISH, ...wish },
        held: null,
        version: 1,
        permanentOnly: false,
        random: () => 0.5,
        ...over,
      });
      const text = (attempt: AddPlan["first"]) =>
        `${attempt.action === "AddPortMapping" ? "add" : "any"} ${attempt.externalPort} ${attempt.leaseSec}`;
      const found = [text(plan.first)];
      let failed: RouterFailureKind | null = null;
      for (const code of codes) {
        expect(failed).toBeNull();
        const step = plan.onFault({ code, description: "No" });
        if (step.kind === "ask") found.push(text(step.attempt));
        else {
          failed = step.failure.kind;
          expect(step.failure.message).toMatch(/^[A-Z].*\.$/);
        }
      }
      expect([found, failed]).toEqual([[...asked], failure]);
    },
  );
});

describe("whether the router knows leases", () => {
  const plan = (over: Partial<AddPlanOptions> = {}) =>
    new AddPlan({
      wish: { ...WISH, exact: false },
      held: null,
      version: 2,
      permanentOnly: false,
      random: () => 0,
      ...over,
    });
  const after = (codes: readonly number[], over?: Partial<AddPlanOptions>): boolean => {
    const one = plan(over);
    for (const code of codes) one.onFault({ code, description: "" });
    return one.showsPermanentOnly;
  };
  test.each([
    ["it took one", [], false],
    ["it took none, and said so", [725], true],
    ["it called one invalid, and took the same without", [402], true],
    ["it failed with and without", [501, 501], false],
    ["it said so, and the port was taken", [725, 718], true],
  ] as const)("%s: %p", (_name, codes, expected) => {
    expect(after(codes)).toBe(expected);
  });
  test("what was wished for good shows nothing", () => {
    expect(after([], { wish: { ...WISH, lifetimeSec: null }, version: 1 })).toBe(false);
  });
});

test("ports by lot are between 40000 and 49999", () => {
  for (const [random, port] of [
    [0, 40_000],
    [0.999_999, 49_999],
  ] as const) {
    const plan = new AddPlan({
      wish: { ...WISH, externalPort: 0, exact: false },
      held: null,
      version: 1,
      permanentOnly: false,
      random: () => random,
    });
    expect(plan.onFault({ code: 718, description: "" })).toMatchObject({
      kind: "ask",
      attempt: { externalPort: port },
    });
  }
});
