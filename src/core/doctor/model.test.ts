import { describe, expect, test } from "bun:test";
import { failure, findingsOf, fine, skipped, splitAdvice, summaryOf, warning, worstOf } from "./model.ts";

describe("what findings come to", () => {
  test.each([
    ["nothing", [], "ok", "Nothing is wrong."],
    ["good to know", [fine("A.", "Do."), skipped("B.")], "ok", "Nothing is wrong."],
    ["warnings", [fine("A."), warning("B.", null)], "warning", "1 warning."],
    ["both", [warning("A.", null), failure("B.", null), failure("C.", null)], "failure", "2 problems, 1 warning."],
  ] as const)("%s", (_name, findings, worst, summary) => {
    expect([worstOf(findings), summaryOf(findings)]).toEqual([worst, summary]);
  });

  test("ids are unique: names behind a colon, numbers behind #", () => {
    const outcome = [
      fine("A."),
      { name: "web", judgement: fine("B.") },
      warning("C.", null),
      { name: "web", judgement: fine("D.") },
    ];
    expect(findingsOf("forward", "forwards", outcome).map(({ id }) => id)).toEqual([
      "forward",
      "forward:web",
      "forward#2",
      "forward:web#2",
    ]);
    expect(findingsOf("clock", "machine", fine("A."))).toEqual([{ id: "clock", section: "machine", ...fine("A.") }]);
  });
});

describe("a message, and its advice", () => {
  test.each([
    ["Others may read /k: run chmod 600 on it.", "Others may read /k.", "Run chmod 600 on it."],
    [
      "port 80 is outside the pool (1024-65535); choose one of those.",
      "port 80 is outside the pool (1024-65535).",
      "Choose one of those.",
    ],
    ["Cannot read /k: user ann is not allowed to.", "Cannot read /k: user ann is not allowed to.", null],
    ["203.0.113.1:7744 does not answer", "203.0.113.1:7744 does not answer.", null],
    ["A is: B; join again: it is quick.", "A is: B.", "Join again: it is quick."],
  ])("%s", (message, sentence, remedy) => {
    expect(splitAdvice(message)).toEqual({ sentence, remedy });
  });
});
