import { expect, test } from "bun:test";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { makeSshKey } from "./host-key.ts";

/** Of 2,000 pairs of ssh2's own some eight are none. */
test("every key that is made can be read again", () => {
  const made = Array.from({ length: 2_000 }, () => parseKey(makeSshKey("relay").private));
  expect(made.filter((key) => key instanceof Error || key.getPrivatePEM() === null)).toEqual([]);
});
