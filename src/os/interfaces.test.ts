import { expect, test } from "bun:test";
import { isIP } from "node:net";
import { interfaceNames, interfaceNumber, ownAddresses } from "./interfaces.ts";

test("this machine has a loopback address, and every address is plain text of its family", () => {
  const addresses = ownAddresses();
  expect(addresses.some(({ address, internal }) => address === "127.0.0.1" && internal)).toBe(true);
  for (const { address, family } of addresses) expect(isIP(address)).toBe(family);
});

test("interfaces have names and numbers, and one that is not there has none", () => {
  expect(interfaceNames()).toContain("lo");
  expect(interfaceNumber("lo", "ifindex")).toBeGreaterThan(0);
  expect(interfaceNumber("nolink0", "ifindex")).toBeNull();
});
