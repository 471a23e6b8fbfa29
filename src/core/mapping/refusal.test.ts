import { describe, expect, test } from "bun:test";
import { UPNP_ERRORS } from "../../wire/igd/upnp-error.ts";
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
    test(kind, () => {
      const codes = REFUSAL_CODES[kind as MappingRefusalKind];
      const told: number[] = [codes.natPmp, codes.pcp, UPNP_ERRORS[codes.igd1].code, UPNP_ERRORS[codes.igd2].code];
      expect(told).toEqual([natPmp, pcp, igd1, igd2]);
    });
  }
});
