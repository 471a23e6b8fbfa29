import { describe, expect, test } from "bun:test";
import { type DeletableMapping, type DeleteRequest, decideDelete } from "./delete.ts";

const MAPPINGS: readonly (DeletableMapping & { readonly name: string })[] = [
  { name: "web", protocol: "tcp", internalPort: 80, fixed: false, nonce: "a" },
  { name: "game", protocol: "udp", internalPort: 80, fixed: false, nonce: null },
  { name: "ssh", protocol: "tcp", internalPort: 22, fixed: true, nonce: null },
  { name: "twice", protocol: "tcp", internalPort: 90, fixed: false, nonce: null },
  { name: "twice, by the operator", protocol: "tcp", internalPort: 90, fixed: true, nonce: null },
];

const tcp = (internalPort: number, nonce: string | null = null) => ({ protocol: "tcp" as const, internalPort, nonce });
const PMP = { via: "natPmp" } as const;
const PCP = { via: "pcp" } as const;

describe("decideDelete", () => {
  const cases: [string, DeleteRequest, boolean, string][] = [
    ["one", { ...PCP, ...tcp(80, "a") }, true, "web"],
    ["one that is not there", { ...PMP, ...tcp(81) }, true, ""],
    ["only its protocol", { ...PMP, protocol: "udp", internalPort: 80, nonce: null }, true, "game"],
    ["another nonce", { ...PCP, ...tcp(80, "b") }, true, " otherNonce"],
    ["another nonce, lenient", { ...PCP, ...tcp(80, "b") }, false, "web"],
    ["over NAT-PMP, which has no nonce", { ...PMP, ...tcp(80) }, true, "web"],
    ["PCP's delete of NAT-PMP's", { ...PCP, protocol: "udp", internalPort: 80, nonce: "b" }, true, "game"],
    ["the operator's", { ...PMP, ...tcp(22) }, false, " fixedMapping"],
    ["its own beside the operator's", { ...PMP, ...tcp(90) }, false, "twice"],
    ["every port over NAT-PMP, some left", { ...PMP, ...tcp(0) }, true, "web, twice fixedMapping"],
    ["every port over NAT-PMP, none left", { ...PMP, protocol: "udp", internalPort: 0, nonce: null }, true, "game"],
    ["every port over PCP, some left", { ...PCP, ...tcp(0, "a") }, true, "web, twice"],
    ["every port, another nonce", { ...PCP, ...tcp(0, "b") }, true, "twice"],
    ["everything", { ...PCP, protocol: null, internalPort: 0, nonce: "a" }, true, "web, game, twice"],
    ["a port of no protocol", { ...PCP, protocol: null, internalPort: 80, nonce: "a" }, true, " malformed"],
  ];
  for (const [name, request, strictNonce, expected] of cases) {
    test(name, () => {
      const { remove, refusal } = decideDelete(request, MAPPINGS, strictNonce);
      const names = remove.map((one) => one.name).join(", ");
      expect(refusal === null ? names : `${names} ${refusal.kind}`).toBe(expected);
    });
  }
});
