import { describe, expect, test } from "bun:test";
import { type MappingRefusalKind, REFUSAL_CODES } from "./refusal.ts";

/** NAT-PMP, PCP, IGDv1, IGDv2: as the RFCs and the UPnP documents number them. */
describe("the codes of", () => {
  const cases: Record<MappingRefusalKind, [number, number, number, number]> = {
    addressMismatch: [2, 12, 606, 606],
    otherHost: [2, 5, 606, 606],
    notInside: [2, 2, 606, 606],
    notPermitted: [2, 2, 718, 606],
    denied: [2, 11, 718, 606],
    reserved: [4, 11, 718, 729],
    taken: [4, 11, 718, 718],
    noPorts: [4, 8, 501, 728],
    quota: [4, 10, 501, 728],
    wildcardExternalPort: [2, 11, 716, 716],
    wildcardInternalPort: [2, 9, 402, 732],
    otherNonce: [2, 2, 606, 606],
    fixedMapping: [2, 2, 606, 606],
    malformed: [2, 3, 402, 402],
  };
  for (const [kind, [natPmp, pcp, igd1, igd2]] of Object.entries(cases)) {
    test(kind, () => expect(REFUSAL_CODES[kind as MappingRefusalKind]).toEqual({ natPmp, pcp, igd1, igd2 }));
  }
});
