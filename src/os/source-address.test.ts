import { expect, test } from "bun:test";
import { ownAddresses } from "./interfaces.ts";
import { sourceAddress } from "./source-address.ts";

test("to this machine itself packets leave from the address that they go to", async () => {
  for (const { address, family, zoneIndex } of ownAddresses()) {
    if (zoneIndex === null && (family === 4 || address === "::1")) expect(await sourceAddress(address)).toBe(address);
  }
});
