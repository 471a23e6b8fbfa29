import { describe, expect, test } from "bun:test";
import type { PcpMap } from "../../wire/pcp/message.ts";
import type { PcpResponse } from "../../wire/pcp/response.ts";
import type { Gateway, Grant, MappingWish } from "./model.ts";
import {
  isNonce,
  noThirdParty,
  onlyPort,
  pcpAnnounceRequest,
  pcpGrant,
  pcpMapRequest,
  pcpUnmapped,
  pcpUnmapRequest,
  refusesOption,
  whyNoPcp,
  whyNotPcp,
} from "./pcp-client.ts";
import { pcpFailure } from "./portmap-faults.ts";

const NONCE = "0102030405060708090a0b0c";
const ROUTER: Gateway = {
  family: 4,
  address: "192.168.1.1",
  interfaceName: "eth0",
  ownAddress: "192.168.1.20",
  metric: 0,
};
const ROUTER6: Gateway = { ...ROUTER, family: 6, address: "fe80::1", ownAddress: "2001:db8::5" };
const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "192.168.1.20",
  internalPort: 80,
  externalPort: 8080,
  exact: false,
  lifetimeSec: 3600,
  description: "web",
};
const PINHOLE: MappingWish = { ...WISH, internalAddress: "2001:db8::5" };
const HELD: Grant = { externalAddress: "203.0.113.5", externalPort: 9090, lifetimeSec: 3600, ticket: NONCE };
const options = { nonce: NONCE, preferFailure: false };

describe("what is asked", () => {
  test("ANNOUNCE", () => {
    expect(pcpAnnounceRequest(ROUTER)).toEqual({
      lifetimeSec: 0,
      clientAddress: "192.168.1.20",
      body: { opcode: "announce" },
    });
  });

  test.each<[name: string, wish: MappingWish, held: Grant | null, gateway: Gateway, expected: Partial<PcpMap>]>([
    ["a port", WISH, null, ROUTER, { externalPort: 8080, externalAddress: "0.0.0.0", protocol: 6, thirdParty: null }],
    ["of UDP", { ...WISH, protocol: "udp" }, null, ROUTER, { protocol: 17 }],
    [
      "a renewal: port and address as they are",
      WISH,
      HELD,
      ROUTER,
      { externalPort: 9090, externalAddress: "203.0.113.5" },
    ],
    [
      "one port alone: at whatever address",
      { ...WISH, exact: true },
      HELD,
      ROUTER,
      { externalPort: 8080, externalAddress: "0.0.0.0" },
    ],
    [
      "of a router that said no address",
      WISH,
      { ...HELD, externalAddress: null },
      ROUTER,
      { externalAddress: "0.0.0.0" },
    ],
    ["for another host", { ...WISH, internalAddress: "192.168.1.9" }, null, ROUTER, { thirdParty: "192.168.1.9" }],
    [
      "a pinhole: the same outside as inside",
      PINHOLE,
      null,
      ROUTER6,
      { externalPort: 80, externalAddress: "2001:db8::5", thirdParty: null },
    ],
    [
      "a pinhole to this one, written otherwise",
      { ...PINHOLE, internalAddress: "2001:DB8::0:5" },
      null,
      ROUTER6,
      { thirdParty: null },
    ],
    [
      "a pinhole to another host",
      { ...PINHOLE, internalAddress: "2001:db8::9" },
      null,
      ROUTER6,
      { externalAddress: "2001:db8::9", thirdParty: "2001:db8::9" },
    ],
  ])("%s", (_, wish, held, gateway, expected) => {
    const request = pcpMapRequest(wish, held, gateway, options);
    expect(request).toMatchObject({ lifetimeSec: 3600, clientAddress: gateway.ownAddress });
    expect(request.body).toMatchObject({ opcode: "map", nonce: NONCE, internalPort: 80, filters: [], ...expected });
  });

  test.each<[lifetimeSec: number | null, expected: number]>([
    [null, 86_400],
    [0, 1],
    [1e12, 0xffff_ffff],
  ])("a lifetime of %p is %d", (lifetimeSec, expected) => {
    expect(pcpMapRequest({ ...WISH, lifetimeSec }, null, ROUTER, options).lifetimeSec).toBe(expected);
  });

  test("a delete by the nonce that it was made with", () => {
    const request = pcpUnmapRequest({ ...WISH, exact: true }, HELD, ROUTER);
    expect(request).toMatchObject({ lifetimeSec: 0, body: { nonce: NONCE, internalPort: 80, preferFailure: false } });
  });

  test("only one port is right when it is exact, or a pinhole", () => {
    expect([WISH, { ...WISH, exact: true }, { ...WISH, exact: true, externalPort: 0 }, PINHOLE].map(onlyPort)).toEqual([
      null,
      8080,
      null,
      80,
    ]);
  });
});

describe("what it cannot do", () => {
  test("the other family than the gateway's", () => {
    expect(whyNotPcp(PINHOLE, ROUTER)).toMatchObject({ kind: "unsupported" });
    expect(whyNotPcp(WISH, ROUTER6)).toMatchObject({ kind: "unsupported" });
    expect(whyNotPcp(WISH, ROUTER)).toBeNull();
    expect(whyNotPcp(PINHOLE, ROUTER6)).toBeNull();
  });
});

const body = (over: Partial<PcpMap> = {}): PcpMap => ({
  opcode: "map",
  nonce: NONCE,
  protocol: 6,
  internalPort: 80,
  externalPort: 9090,
  externalAddress: "203.0.113.5",
  thirdParty: null,
  preferFailure: false,
  filters: [],
  ...over,
});
const success = (over: Partial<PcpMap> = {}, lifetimeSec = 60): PcpResponse => ({
  kind: "success",
  lifetimeSec,
  epochSec: 1,
  body: body(over),
});
const refused = (result: number, lifetimeSec = 30): PcpResponse => ({
  kind: "refused",
  result,
  lifetimeSec,
  epochSec: 1,
  opcode: "map",
  mapping: body(),
});

describe("answers", () => {
  test("a mapping; its nonce is the ticket", () => {
    expect(pcpGrant(success(), ROUTER)).toEqual({
      ok: true,
      value: { externalAddress: "203.0.113.5", externalPort: 9090, lifetimeSec: 60, ticket: NONCE },
    });
    for (const externalAddress of ["0.0.0.0", "::"]) {
      expect(pcpGrant(success({ externalAddress }), ROUTER)).toMatchObject({ value: { externalAddress: null } });
    }
  });
  test.each<[string, PcpResponse]>([
    ["no port", success({ externalPort: 0 })],
    ["no lifetime", success({}, 0)],
    ["an ANNOUNCE instead", { kind: "success", lifetimeSec: 60, epochSec: 1, body: { opcode: "announce" } }],
  ])("%s makes no sense", (_, response) => {
    expect(pcpGrant(response, ROUTER)).toMatchObject({ error: { kind: "garbled" } });
  });

  test.each<[code: number, kind: string, speaks: boolean]>([
    [2, "refused", false],
    [3, "garbled", true],
    [4, "unsupported", true],
    [5, "unsupported", true],
    [6, "garbled", true],
    [7, "no-uplink", true],
    [8, "exhausted", true],
    [9, "unsupported", true],
    [10, "exhausted", true],
    [11, "conflict", true],
    [12, "unsupported", false],
    [13, "exhausted", true],
    [99, "refused", true],
  ])("code %d is %s", (code, kind, speaks) => {
    const grant = pcpGrant(refused(code), ROUTER);
    expect(grant).toMatchObject({ error: { kind, code, retryAfterSec: 30 } });
    if (!grant.ok) expect(grant.error.message).toMatch(/router at 192\.168\.1\.1 .*\.$/);
    expect(whyNoPcp(refused(code), ROUTER) === null).toBe(speaks);
  });

  test("how long to leave it alone: what it says, half an hour at most", () => {
    expect(pcpFailure(8, 0, ROUTER)).not.toHaveProperty("retryAfterSec");
    expect(pcpFailure(8, 30, ROUTER).retryAfterSec).toBe(30);
    expect(pcpFailure(8, 0xffff_ffff, ROUTER).retryAfterSec).toBe(1800);
  });

  test("a delete is done, also when there was nothing to delete", () => {
    expect(pcpUnmapped(success({}, 0), ROUTER)).toEqual({ ok: true, value: null });
    expect(pcpUnmapped(refused(8), ROUTER)).toEqual({ ok: true, value: null });
    expect(pcpUnmapped(refused(2), ROUTER)).toMatchObject({ error: { kind: "refused" } });
  });

  test("another version is none of ours", () => {
    const response: PcpResponse = { kind: "unsupported-version", version: 1 };
    expect(whyNoPcp(response, ROUTER)).toMatchObject({ kind: "unsupported", code: 1 });
    expect(pcpGrant(response, ROUTER)).toMatchObject({ error: { kind: "unsupported" } });
  });

  test("an option that is refused, and what to do about another host then", () => {
    expect(refusesOption(refused(5))).toBe(true);
    expect(refusesOption(refused(4))).toBe(false);
    const wish = { ...WISH, internalAddress: "192.168.1.9" };
    const failure = noThirdParty(wish, ROUTER, pcpFailure(5, 1800, ROUTER));
    expect(failure).toMatchObject({ kind: "unsupported", code: 5, retryAfterSec: 1800 });
    expect(failure.message).toContain("run Hatchway on 192.168.1.9");
  });
});

test.each<[string, boolean]>([
  [NONCE, true],
  ["", false],
  ["uuid:1", false],
  [`${NONCE}00`, false],
])("%p is a ticket of PCP: %p", (ticket, expected) => {
  expect(isNonce(ticket)).toBe(expected);
});
