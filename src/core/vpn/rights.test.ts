import { describe, expect, test } from "bun:test";
import type { Protocol } from "../../wire/port-set.ts";
import { decide, permittedPorts } from "../mapping/permission.ts";
import { formatPermissionRule, parsePermissionRule } from "../mapping/permission-rule.ts";
import type { VpnMode, VpnPeer } from "./peers.ts";
import { mappingRights, permissionRules } from "./rights.ts";
import { onePeer, only } from "./vpn.fixture.ts";

const BLOCK: VpnMode = { kind: "blockAll" };
const OPEN: VpnMode = { kind: "openAll" };
const MIXED = only("8840, 8810-8815/udp, 8000:80/tcp");

describe("what a peer may map", () => {
  test.each<[string, VpnMode, Protocol, number, number | null, boolean]>([
    ["block all: nothing", BLOCK, "tcp", 8840, 8840, false],
    ["open all: anything", OPEN, "udp", 53, 9999, true],
    ["only: one of its ports, to any of its own", MIXED, "tcp", 8840, 51413, true],
    ["only: a range of one protocol", MIXED, "udp", 8812, 8812, true],
    ["only: not the other protocol", MIXED, "tcp", 8812, 8812, false],
    ["only: not another port", MIXED, "tcp", 8841, 8840, false],
    ["only: a translated port to its internal one", MIXED, "tcp", 8000, 80, true],
    ["only: a translated port to no other", MIXED, "tcp", 8000, 22, false],
    ["only: NAT-PMP's port zero", MIXED, "tcp", 8840, null, true],
  ])("%s", (_what, mode, protocol, externalPort, internalPort, allowed) => {
    const peer = onePeer({ mode });
    const { permissions } = mappingRights(peer, 1_000);
    for (const client of [peer.v4, peer.v6]) {
      expect(decide(permissions, { protocol, client, internalPort }, externalPort).ok).toBe(allowed);
    }
    expect(decide(permissions, { protocol, client: "10.77.0.9", internalPort }, externalPort).ok).toBe(false);
  });

  test("port zero may become each of its ports", () => {
    const peer = onePeer({ mode: MIXED });
    const { permissions } = mappingRights(peer, 1_000);
    expect(permittedPorts(permissions, { protocol: "udp", client: peer.v4, internalPort: null })).toEqual([
      { first: 8810, last: 8815 },
      { first: 8840, last: 8840 },
    ]);
  });

  test("the rules are ones that an operator could write", () => {
    const rules = permissionRules(onePeer({ mode: MIXED })).map(formatPermissionRule);
    expect(rules).toEqual([
      "allow 8810-8815/udp,8840 10.77.0.2/32 *",
      "allow 8000/tcp 10.77.0.2/32 80/tcp",
      "allow 8810-8815/udp,8840 fd01:101:101:101::2/128 *",
      "allow 8000/tcp fd01:101:101:101::2/128 80/tcp",
    ]);
    for (const rule of rules) expect(parsePermissionRule(rule).ok).toBe(true);
  });

  test("has the peer's quota, and none when it has none", () => {
    expect(mappingRights(onePeer({ maxPorts: 5 }), 0).maxPerClient).toBe(5);
    expect("maxPerClient" in mappingRights(onePeer(), 0)).toBe(false);
  });
});

test.each<[string, Partial<VpnPeer>]>([
  ["disabled", { disabled: true }],
  ["at its end", { expiresMs: 5_000 }],
])("a peer that is %s has no right to anything", (_what, change) => {
  const peer = { ...onePeer({ mode: OPEN }), ...change };
  expect(mappingRights(peer, 5_000).permissions).toEqual([]);
});
