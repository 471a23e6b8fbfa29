import { expect, test } from "bun:test";
import { isLoopback } from "./loopback.ts";

test.each([
  ["127.0.0.1", true],
  ["127.8.8.8", true],
  ["::1", true],
  ["localhost", true],
  ["10.0.0.1", false],
  ["*", false],
  ["::ffff:10.0.0.1", false],
])("isLoopback %s: %p", (bind, loopback) => {
  expect(isLoopback(bind)).toBe(loopback);
});
