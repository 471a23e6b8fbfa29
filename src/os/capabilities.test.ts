import { expect, test } from "bun:test";
import { type Capability, missingCapabilities } from "./capabilities.ts";

const status = (effective: string) => `Name:\tbun\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`;

test.each<[string, string, Capability[]]>([
  ["root's", status("000001ffffffffff"), []],
  ["Docker's own choice", status("00000000a80425fb"), ["CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"]],
  ["a user's", status("0000000000000000"), ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"]],
  ["a system that does not say", "", []],
])("%s", (_, text, missing) => {
  expect(missingCapabilities(["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"], text)).toEqual(missing);
});
