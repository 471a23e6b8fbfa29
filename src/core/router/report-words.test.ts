import { describe, expect, test } from "bun:test";
import type { RouterIdentity, RouterProtocol } from "./model.ts";
import { natSentence, routerName, spokenWords } from "./report-words.ts";

const identity = (more: Partial<RouterIdentity>): RouterIdentity => ({
  manufacturer: null,
  model: null,
  name: null,
  page: null,
  ...more,
});

describe("a router's name", () => {
  test.each<[string, RouterIdentity | null, string | null]>([
    ["not asked", null, null],
    ["says nothing", identity({ page: "http://192.168.1.1/" }), null],
    ["maker and model", identity({ manufacturer: "AVM", model: "7590", name: "fritz.box" }), "AVM 7590"],
    ["a name instead of the model", identity({ manufacturer: "AVM", name: "fritz.box" }), "AVM fritz.box"],
    ["a model alone", identity({ model: "7590" }), "7590"],
  ])("%s", (_what, given, name) => expect(routerName(given)).toBe(name));
});

describe("what it speaks", () => {
  const yes = (protocol: RouterProtocol) => ({ protocol, failure: null });
  const no = (protocol: RouterProtocol) => ({ protocol, failure: {} });
  test.each<[string, Parameters<typeof spokenWords>[0], string]>([
    ["nothing", [no("pcp"), no("igd2")], "nothing that opens ports"],
    ["all", [yes("pcp"), yes("nat-pmp"), yes("igd2")], "PCP, NAT-PMP, UPnP (IGD 2)"],
    ["some", [yes("pcp"), no("nat-pmp"), no("igd2")], "PCP; not NAT-PMP, UPnP (IGD 2)"],
    ["by one family alone, it is spoken", [no("pcp"), yes("igd1"), yes("pcp")], "UPnP (IGD 1), PCP"],
  ])("%s", (_what, protocols, words) => expect(spokenWords(protocols)).toBe(words));
});

test("how the NAT behaves, in the RFC's words", () => {
  expect(natSentence({ mapping: "endpoint-independent", filtering: "unknown" })).toBe(
    "mapping endpoint-independent, filtering not known",
  );
  expect(natSentence({ mapping: "none", filtering: "address-dependent" })).toBe(
    "mapping none, filtering address-dependent",
  );
});
