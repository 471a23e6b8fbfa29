import { expect, test } from "bun:test";
import { refusalExitCode } from "./refusal.ts";

test("a refusal by policy is exit code 3, everything else 1", () => {
  expect(refusalExitCode("policy")).toBe(3);
  expect(refusalExitCode("conflict")).toBe(1);
  expect(refusalExitCode("invalid")).toBe(1);
});
