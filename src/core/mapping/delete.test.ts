import { describe, expect, test } from "bun:test";
import { type DeletableMapping, type DeleteRequest, decideDelete } from "./delete.ts";

const MAPPINGS: readonly (DeletableMapping & { readonly name: string })[] = [
  { name: "web", protocol: "tcp", internalPort: 80, fixed: false, nonce: "a" },
  { name: "game", protocol: "udp", internalPort: 80, fixed: false, nonce: null },
  { name: "ssh", protocol: "tcp", internalPort: 22, fixed: true, nonce: null },
  { name: "twice", protocol: "tcp", internalPort: 90, fixed: false, nonce: null },
  { name: "twice, by the operator", protocol: "tcp", internalPort: 90, fixed: true, nonce: null },
];

describe("decideDelete", () => {
  const cases: [string, DeleteRequest, boolean, string][] = [
    ["one", { protocol: "tcp", internalPort: 80, nonce: "a" }, true, "web"],
    ["one that is not there", { protocol: "tcp", internalPort: 81, nonce: null }, true, ""],
    ["only its protocol", { protocol: "udp", internalPort: 80, nonce: null }, true, "game"],
    ["another nonce", { protocol: "tcp", internalPort: 80, nonce: "b" }, true, "otherNonce"],
    ["another nonce, lenient", { protocol: "tcp", internalPort: 80, nonce: "b" }, false, "web"],
    ["over NAT-PMP, which has no nonce", { protocol: "tcp", internalPort: 80, nonce: null }, true, "web"],
    ["PCP's delete of NAT-PMP's", { protocol: "udp", internalPort: 80, nonce: "b" }, true, "game"],
    ["the operator's", { protocol: "tcp", internalPort: 22, nonce: null }, false, "fixedMapping"],
    ["its own beside the operator's", { protocol: "tcp", internalPort: 90, nonce: null }, false, "twice"],
    ["every port of a protocol", { protocol: "tcp", internalPort: 0, nonce: null }, true, "web, twice"],
    ["every port, another nonce", { protocol: "tcp", internalPort: 0, nonce: "b" }, true, "twice"],
    ["everything", { protocol: null, internalPort: 0, nonce: "a" }, true, "web, game, twice"],
    ["a port of no protocol", { protocol: null, internalPort: 80, nonce: "a" }, true, "malformed"],
  ];
  for (const [name, request, strictNonce, expected] of cases) {
    test(name, () => {
      const decision = decideDelete(request, MAPPINGS, strictNonce);
      expect(decision.ok ? decision.value.map((one) => one.name).join(", ") : decision.error.kind).toBe(expected);
    });
  }
});
