import { describe, expect, test } from "bun:test";
import { SAW } from "./evidence.ts";
import { outsideVerdict } from "./outside.ts";
import { udpProbe } from "./probes.ts";

const WHAT = "192.0.2.7:53/udp";

describe("what can be said from outside alone", () => {
  const table = [
    ["open", null, null, "open", "takes connections"],
    ["ended", null, null, "open", "takes connections"],
    ["closed", null, null, "closed", "refused"],
    ["filtered", null, null, "filtered", "nothing came back"],
    ["unreachable", null, null, "filtered", "cannot be reached"],
    ["failed", null, null, "unknown", "could not be tried"],
    ["open", "dns", true, "open", "a DNS server answers"],
    ["open", "dns", false, "open", "something answers, though not as a DNS server"],
    ["open", "echo", false, "open", "something answers."],
    ["silent", "dns", null, "unknown", "does not answer as a DNS server does"],
    ["silent", "echo", null, "unknown", "does not answer strangers"],
  ] as const;
  for (const [saw, probe, fits, state, says] of table) {
    test(`${saw}, asked ${probe ?? "over TCP"}: ${state}`, () => {
      const verdict = outsideVerdict(WHAT, saw, probe === null ? null : udpProbe(probe), fits);
      expect(verdict.state).toBe(state);
      expect(verdict.sentence).toContain(says);
      expect(verdict.sentence).toContain(WHAT);
    });
  }

  test("all that is not open says what to do", () => {
    const verdicts = SAW.map((saw) => outsideVerdict(WHAT, saw, null, null));
    expect(verdicts.filter(({ state, remedy }) => (state === "open") !== (remedy === null))).toEqual([]);
  });
});
