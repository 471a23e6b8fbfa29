import { describe, expect, test } from "bun:test";
import { ProxyRefusals } from "./proxy-refusals.ts";

const LIST = "[relay] proxy-protocol-from";

describe("refused PROXY protocol headers", () => {
  test.each([
    ["missing", "10.0.0.5 was refused: it is in [relay] proxy-protocol-from and sent no PROXY protocol header"],
    ["wrong", "the PROXY protocol header that it sent is wrong"],
    ["unlisted", "add it to [relay] proxy-protocol-from"],
  ] as const)("%s is told in a sentence", (refusal, says) => {
    const lines: string[] = [];
    new ProxyRefusals({ nowMs: () => 0, list: LIST, warn: (line) => lines.push(line) }).add(refusal, "10.0.0.5");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(says);
  });

  test("each kind is told once a minute, with how many were left out", () => {
    let nowMs = 0;
    const lines: string[] = [];
    const refusals = new ProxyRefusals({ nowMs: () => nowMs, list: LIST, warn: (line) => lines.push(line) });
    for (let count = 0; count < 3; count++) refusals.add("missing", "10.0.0.5");
    refusals.add("unlisted", "198.51.100.7");
    expect(lines).toHaveLength(2);
    nowMs = 59_999;
    refusals.add("missing", "10.0.0.5");
    expect(lines).toHaveLength(2);
    nowMs = 60_000;
    refusals.add("missing", "10.0.0.5");
    expect(lines[2]).toEndWith("out of the list. 3 more were refused since this was last told.");
    nowMs = 120_000;
    refusals.add("missing", "10.0.0.5");
    expect(lines[3]).toEndWith("out of the list.");
  });
});
