import { describe, expect, test } from "bun:test";
import type { NatPmpResponse } from "../../wire/natpmp.ts";
import type { Gateway, Grant, MappingWish } from "./model.ts";
import {
  natPmpAddress,
  natPmpGrant,
  natPmpMapRequest,
  natPmpUnmapped,
  natPmpUnmapRequest,
  whyNoNatPmp,
  whyNotNatPmp,
} from "./natpmp-client.ts";

const ROUTER: Gateway = {
  family: 4,
  address: "192.168.1.1",
  interfaceName: "eth0",
  ownAddress: "192.168.1.20",
  metric: 0,
};
const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "192.168.1.20",
  internalPort: 80,
  externalPort: 8080,
  exact: false,
  lifetimeSec: 3600,
  description: "web",
};
const HELD: Grant = { externalAddress: null, externalPort: 9090, lifetimeSec: 3600, ticket: "" };

describe("what is asked", () => {
  test.each<[name: string, wish: Partial<MappingWish>, held: Grant | null, externalPort: number, lifetimeSec: number]>([
    ["as it is wished", {}, null, 8080, 3600],
    ["any port", { externalPort: 0 }, null, 0, 3600],
    ["a renewal keeps the port that it has", {}, HELD, 9090, 3600],
    ["unless one alone is right", { exact: true }, HELD, 8080, 3600],
    ["exactly any port is any port", { exact: true, externalPort: 0 }, HELD, 9090, 3600],
    ["for good: as long as the RFC recommends", { lifetimeSec: null }, null, 8080, 7200],
    ["never 0, which deletes", { lifetimeSec: 0.2 }, null, 8080, 1],
    ["at most what there is room for", { lifetimeSec: 1e12 }, null, 8080, 0xffff_ffff],
  ])("%s", (_, wish, held, externalPort, lifetimeSec) => {
    expect(natPmpMapRequest({ ...WISH, ...wish }, held)).toEqual({
      kind: "map",
      protocol: "tcp",
      internalPort: 80,
      externalPort,
      lifetimeSec,
    });
  });
  test("a delete names neither port nor lifetime", () => {
    expect(natPmpUnmapRequest(WISH)).toMatchObject({ internalPort: 80, externalPort: 0, lifetimeSec: 0 });
  });
});

describe("what it cannot do", () => {
  test.each<[name: string, wish: Partial<MappingWish>, gateway: Partial<Gateway>, message: string]>([
    ["IPv6", { internalAddress: "2001:db8::5" }, {}, "IPv4 only"],
    ["a gateway of IPv6", {}, { family: 6, address: "fe80::1" }, "IPv4 only"],
    ["another host", { internalAddress: "192.168.1.9" }, {}, "run Hatchway on 192.168.1.9"],
    ["what is no address", { internalAddress: "nas" }, {}, "run Hatchway on nas"],
  ])("%s", (_, wish, gateway, message) => {
    const failure = whyNotNatPmp({ ...WISH, ...wish }, { ...ROUTER, ...gateway });
    expect(failure).toMatchObject({ kind: "unsupported", code: null });
    expect(failure?.message).toContain(message);
  });
  test("the rest it can", () => {
    expect(whyNotNatPmp(WISH, ROUTER)).toBeNull();
  });
});

const mapped = (externalPort: number, lifetimeSec: number): NatPmpResponse => ({
  kind: "map",
  protocol: "tcp",
  internalPort: 80,
  externalPort,
  lifetimeSec,
  epochSec: 1,
});
const address = (text: string): NatPmpResponse => ({ kind: "external-address", address: text, epochSec: 1 });
const failed = (result: number): NatPmpResponse => ({
  kind: "failure",
  result,
  request: { kind: "map", protocol: "tcp", internalPort: 80 },
  epochSec: 1,
});

describe("answers", () => {
  test("a mapping, with what the router made of the wish", () => {
    expect(natPmpGrant(mapped(9090, 60), ROUTER)).toEqual({
      ok: true,
      value: { externalAddress: null, externalPort: 9090, lifetimeSec: 60, ticket: "" },
    });
  });
  test.each<[string, NatPmpResponse]>([
    ["no port", mapped(0, 60)],
    ["no lifetime", mapped(9090, 0)],
    ["an address instead", address("203.0.113.5")],
  ])("%s makes no sense", (_, response) => {
    expect(natPmpGrant(response, ROUTER)).toMatchObject({ error: { kind: "garbled" } });
  });
  test("a delete is done, whatever numbers come back", () => {
    expect(natPmpUnmapped(mapped(0, 0), ROUTER)).toEqual({ ok: true, value: null });
    expect(natPmpUnmapped(mapped(9090, 60), ROUTER)).toEqual({ ok: true, value: null });
    expect(natPmpUnmapped(failed(2), ROUTER)).toMatchObject({ error: { kind: "refused" } });
  });
  test("the address, of which 0.0.0.0 is none", () => {
    expect(natPmpAddress(address("203.0.113.5"), ROUTER)).toEqual({ ok: true, value: "203.0.113.5" });
    expect(natPmpAddress(address("0.0.0.0"), ROUTER)).toEqual({ ok: true, value: null });
    expect(natPmpAddress(mapped(1, 1), ROUTER)).toMatchObject({ error: { kind: "garbled" } });
  });

  test.each<[code: number, kind: string, speaks: boolean]>([
    [1, "unsupported", false],
    [2, "refused", false],
    [3, "no-uplink", true],
    [4, "exhausted", true],
    [5, "unsupported", false],
    [77, "refused", false],
  ])("code %d is %s", (code, kind, speaks) => {
    const grant = natPmpGrant(failed(code), ROUTER);
    expect(grant).toMatchObject({ error: { kind, code } });
    if (!grant.ok) expect(grant.error.message).toMatch(/^The router at 192\.168\.1\.1 .*\.$/);
    expect(whyNoNatPmp(failed(code), ROUTER) === null).toBe(speaks);
  });
  test("an operation that it does not have", () => {
    const response: NatPmpResponse = { kind: "unsupported-opcode", opcode: 2, rest: new Uint8Array(), epochSec: 1 };
    expect(natPmpGrant(response, ROUTER)).toMatchObject({ error: { kind: "unsupported" } });
    expect(whyNoNatPmp(response, ROUTER)).toMatchObject({ kind: "unsupported" });
  });
});
