import { describe, expect, test } from "bun:test";
import { type ForwardFacts, judgeForwards, judgeServices, judgeStates, type ServiceFacts } from "./forwards.ts";
import type { CheckState, Judgement, NamedJudgement } from "./model.ts";

const forward = (state: ForwardFacts["state"], message: string | null = null, via = "relay"): ForwardFacts => ({
  id: "w",
  name: "web",
  state,
  message,
  via,
});
const states = (facts: readonly ForwardFacts[], linkUp = true) =>
  judgeStates(facts, linkUp).map((one) =>
    "judgement" in one ? [one.name, one.judgement.state, one.judgement.sentence] : [null, one.state, one.sentence],
  );
describe("forwards that are not open", () => {
  test.each([
    ["open, disabled and away are right", [forward("open"), forward("disabled"), forward("away")], true, []],
    [
      "refused",
      [forward("refused", "The port is taken; choose another.")],
      true,
      [["web", "failure", '"web" was refused: the port is taken.']],
    ],
    [
      "unhealthy",
      [forward("unhealthy")],
      true,
      [["web", "failure", 'The service behind "web" does not answer its health check.']],
    ],
    [
      "waiting while the link is up",
      [forward("waiting", "The router does not answer.", "router")],
      true,
      [["web", "warning", '"web" is not open: the router does not answer.']],
    ],
    [
      "waiting for a certificate",
      [forward("waiting", "The certificate for a.example.org is being ordered: wait a minute.")],
      true,
      [["web", "warning", '"web" is not open: the certificate for a.example.org is being ordered.']],
    ],
    [
      "held up by the link: one line",
      [forward("waiting"), forward("waiting")],
      false,
      [[null, "warning", "2 forwards wait for the link to the relay."]],
    ],
    [
      "the router's own wait",
      [forward("waiting", "It is silent.", "router")],
      false,
      [["web", "warning", '"web" is not open: it is silent.']],
    ],
  ] as const)("%s", (_name, facts, linkUp, expected) => {
    expect(states(facts, linkUp)).toEqual(expected.map((one) => [...one]));
  });
  test("a thousand are not listed one by one", () => {
    const many = states(Array.from({ length: 1_000 }, () => forward("refused", "No.")));
    expect(many).toHaveLength(11);
    expect(many.at(-1)).toEqual([null, "failure", "990 more forwards are not open."]);
  });
  test("counted in one line", () => {
    expect(judgeForwards([forward("open"), forward("refused")], "none").sentence).toBe(
      "2 forwards: 1 open, 1 refused.",
    );
    expect(judgeForwards([], "There are none.")).toMatchObject({ state: "skipped", sentence: "There are none." });
  });
});

const service = (saw: ServiceFacts["saw"], way: ServiceFacts["way"] = null): ServiceFacts => ({
  name: "web",
  at: "127.0.0.1:80/tcp",
  saw,
  way,
});
const OPEN = { state: "open", sentence: "", remedy: null } as const;
const DROPPED = { state: "filtered", sentence: "The relay's firewall drops it.", remedy: "Let it in." } as const;
describe("services", () => {
  const rows: readonly [string, readonly ServiceFacts[], number, readonly (readonly [CheckState, string])[]][] = [
    ["none", [], 0, [["skipped", "No forward is open that leads to a service from here."]]],
    ["one", [service("open", OPEN)], 0, [["ok", "The service answers, by its public port too."]]],
    ["not seen from outside", [service("open"), service("silent")], 0, [["ok", "All 2 services answer."]]],
    [
      "more than are looked at",
      [service("open", OPEN)],
      4,
      [["ok", "The service answers, by its public port too. Only the first 1 of 5 forwards were looked at."]],
    ],
    ["dead", [service("closed")], 0, [["failure", 'Nothing listens at 127.0.0.1:80/tcp, where "web" leads.']]],
    [
      "one of two",
      [service("filtered"), service("open")],
      0,
      [
        ["failure", '127.0.0.1:80/tcp, where "web" leads, does not answer: off, or behind a firewall of its own.'],
        ["ok", "1 of 2 services answers."],
      ],
    ],
    [
      "the way in is shut",
      [service("open", DROPPED)],
      0,
      [["failure", '"web" cannot be reached: the relay\'s firewall drops it.']],
    ],
    [
      "the way in is not known",
      [service("open", { ...DROPPED, state: "unknown" })],
      0,
      [["ok", "The service answers."]],
    ],
    [
      "no way to it",
      [service("unreachable")],
      0,
      [["failure", 'There is no way from here to 127.0.0.1:80/tcp, where "web" leads.']],
    ],
    [
      "not dialled",
      [service("failed")],
      0,
      [["warning", '127.0.0.1:80/tcp, where "web" leads, could not be dialled.']],
    ],
  ];
  test.each(rows)("%s", (_name, facts, left, expected) => {
    const flat = (one: Judgement | NamedJudgement) => ("judgement" in one ? one.judgement : one);
    expect(
      judgeServices(facts, left)
        .map(flat)
        .map(({ state, sentence }) => [state, sentence]),
    ).toEqual(expected.map((one) => [...one]));
  });
});
