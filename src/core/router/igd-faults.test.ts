import { expect, test } from "bun:test";
import { type IgdFault, mappingFailure, otherFailure, pinholeFailure } from "./igd-faults.ts";

const fault = (code: number | null, description = ""): IgdFault => ({ code, description });
const PORT = { protocol: "tcp", externalPort: 8080 } as const;
/** Every code of three digits that a router may give, and none. */
const CODES = [null, ...Array.from({ length: 600 }, (_, at) => 400 + at)];

test.each([
  ["a mapping", (code: number | null) => mappingFailure(fault(code, "No."), PORT)],
  ["a pinhole", (code: number | null) => pinholeFailure(fault(code, "No."))],
  ["anything else", (code: number | null) => otherFailure(fault(code, "No."))],
])("whatever a router says to %s, a person reads one sentence, and a program the code", (_name, failureOf) => {
  for (const code of CODES) {
    const failure = failureOf(code);
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(/^[A-Z][^\n]*[.]$/);
  }
});

test.each([
  [718, "conflict", /8080\/tcp to another host/],
  [729, "conflict", /itself/],
  [724, "conflict", /same port/],
  [606, "refused", /1024/],
  [727, "refused", /all ports or none/],
  [728, "exhausted", /no room/],
  [602, "unsupported", /does not know/],
  [899, "refused", /error 899 \(No\)\.$/],
  [null, "refused", /without a code \(No\)\.$/],
] as const)("a mapping and %p", (code, kind, message) => {
  expect(mappingFailure(fault(code, "No"), PORT)).toMatchObject({ kind, message: expect.stringMatching(message) });
});

test("a router's own words reach a terminal without their control characters, and cut", () => {
  expect(otherFailure(fault(899, "\u001b[2Jgone\r\n")).message).toBe("The router refused with error 899 ([2Jgone).");
  expect(otherFailure(fault(899, "x".repeat(5000))).message.length).toBeLessThan(200);
  expect(otherFailure(fault(899)).message).toBe("The router refused with error 899.");
});
