import { describe, expect, test } from "bun:test";
import type { CheckReport } from "../roles/control.ts";
import { checkText } from "./check.ts";

const REPORT: CheckReport = {
  v: 1,
  target: { protocol: "tcp", host: "2001:db8::7", port: 80, forward: "web" },
  state: "filtered",
  hop: "host-firewall",
  sure: true,
  rule: "firewall here, seen",
  sentence: "This machine's firewall drops it.",
  remedy: "Allow it.",
  evidence: [
    { hop: "router", mark: "ok", text: "lets it in" },
    { hop: "host-firewall", mark: "bad", text: "drops it" },
    { hop: "service", mark: "unknown", text: "was not seen" },
  ],
};

describe("a report for people", () => {
  test("one line a hop, from outside inwards, then what it comes to", () => {
    expect(checkText(REPORT)).toBe(
      [
        '[2001:db8::7]:80/tcp (forward "web")',
        "  ✓ router         lets it in",
        "  ✗ host-firewall  drops it",
        "  ? service        was not seen",
        "filtered: This machine's firewall drops it.",
        "Allow it.",
        "",
      ].join("\n"),
    );
  });

  test("says when it is the likeliest of several, and leaves out what is not known", () => {
    const target = { ...REPORT.target, host: null, forward: null };
    const text = checkText({ ...REPORT, target, sure: false, remedy: null, evidence: [] });
    expect(text).toBe("port 80/tcp\nfiltered, most likely: This machine's firewall drops it.\n");
    expect(checkText({ ...REPORT, state: "unknown", sure: false })).toContain("\nunknown: ");
  });

  test("what comes from other machines moves no cursor", () => {
    const evidence = [{ hop: "relay", mark: "bad", text: "a\u001b[2Jb" }] as const;
    expect(checkText({ ...REPORT, evidence })).not.toContain("\u001b");
  });
});
