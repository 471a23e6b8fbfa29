import { expect, test } from "bun:test";
import { parsePortSet, settleProtocol } from "./port-set.ts";
import { portWords } from "./port-words.ts";

test.each([
  ["8840, 8820", ["TCP 8820", "TCP 8840"]],
  ["8810-8815", ["TCP 8810 to 8815"]],
  ["53/udp", ["UDP 53"]],
  ["8000:80", ["TCP 8000, to port 80 inside"]],
  ["8000-8009:9000/udp", ["UDP 8000 to 8009, to ports 9000 to 9009 inside"]],
])("%s", (text, expected) => {
  const parsed = parsePortSet(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(portWords(settleProtocol(parsed.value, "tcp"))).toEqual(expected);
});
