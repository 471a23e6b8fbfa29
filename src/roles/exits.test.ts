import { expect, test } from "bun:test";
import type { ExitRule } from "../core/exit-rule.ts";
import { LiveExitPolicy } from "./exits.ts";

test("an exit policy follows its rules when it is told that they changed, and tells what it refused", () => {
  let rules: readonly ExitRule[] = [];
  const refused: string[] = [];
  const policy = new LiveExitPolicy({
    rules: () => rules,
    exposed: () => [],
    nowMs: () => 0,
    onRefused: ({ message }) => refused.push(message),
  });
  expect(policy.address("192.0.2.1", "192.0.2.1", 80, "tcp")).toBe(false);
  expect(refused).toEqual([
    'No rule lets visits out to 192.0.2.1:80, which is a reserved address; to allow it, add "192.0.2.1:80" to allow in hatchway.toml.',
  ]);
  rules = [{ host: "192.0.2.1", ports: null }];
  expect(policy.name("192.0.2.1", 80, "tcp")).toBe(false);
  policy.changed();
  expect(policy.name("192.0.2.1", 80, "tcp")).toBe(true);
  expect(policy.address("192.0.2.1", "192.0.2.1", 80, "tcp")).toBe(true);
});

test("an exit policy reads the machine's addresses again after a while", () => {
  let nowMs = 0;
  let made = 0;
  const policy = new LiveExitPolicy({
    rules: () => {
      made++;
      return [];
    },
    exposed: () => [],
    nowMs: () => nowMs,
    onRefused: () => undefined,
  });
  for (nowMs of [0, 1_000, 5_000, 5_001, 6_000]) policy.name("example.com", 80, "tcp");
  expect(made).toBe(2);
});
