import { describe, expect, test } from "bun:test";
import { FakeDesk } from "../../../test/fixtures/fake-desk.ts";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import type { Gateway, MappingWish } from "../../core/router/model.ts";
import { IgdServer } from "../../servers/igd/server.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { type IgdProbe, probeIgd } from "./probe.ts";

/** The client against our own gateway's server, on loopback: what one sends the other takes. */

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

const INSIDE = { name: "lo", addresses: ["127.0.0.1", "::1"], networks: [cidr("127.0.0.0/8"), cidr("::1/128")] };
const V4: Gateway = { family: 4, address: "127.0.0.1", interfaceName: "lo", ownAddress: "127.0.0.1", metric: 0 };
const V6: Gateway = { family: 6, address: "::1", interfaceName: "lo", ownAddress: "::1", metric: 0 };
const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "127.0.0.1",
  internalPort: 80,
  externalPort: 8080,
  exact: true,
  lifetimeSec: 3600,
  description: "a <web> & more",
};

async function started(highestVersion: 1 | 2 = 2) {
  const [ssdpPort = 0] = await freePorts(1);
  const desk = new FakeDesk({ inside: ["127.0.0.0/8", "::1/128"], rules: ["allow * * *"] });
  const ending = new AbortController();
  const options = {
    desk,
    httpPort: 0,
    ssdpPort,
    seed: "a seed",
    highestVersion,
    friendlyName: "Zoë's gateway",
    presentationUrl: null,
    pinholesAllowed: true,
    upBitsPerSec: 1,
    downBitsPerSec: 1,
    outboundTimeoutSec: { tcp: 1, udp: 1 },
    monotonicMs: () => 0,
    random: () => 0,
    signal: ending.signal,
    onRefused: () => {},
    onFailed: (error: unknown) => {
      throw error;
    },
    onError: () => {},
  };
  const open = (wallMs: number, signal: AbortSignal): IgdServer => {
    const server = new IgdServer({ ...options, wallMs: () => wallMs, signal });
    expect(server.apply([INSIDE])).toEqual([]);
    return server;
  };
  const server = open(1_800_000_000_000, ending.signal);
  const probe = async (over: Partial<IgdProbe> = {}) => {
    const probed = await probeIgd({
      gateway: V4,
      signal: ending.signal,
      onIgnored: () => {},
      random: () => 0.5,
      nowMs: () => 0,
      ports: { ssdp: ssdpPort },
      ...over,
    });
    if (!probed.ok) throw new Error(probed.error.message);
    return probed.value;
  };
  return { server, desk, ending, open, probe, signal: ending.signal, [Symbol.dispose]: () => ending.abort() };
}

describe.each([
  [1, "igd1"],
  [2, "igd2"],
] as const)("version %p", (version, protocol) => {
  test("found, mapped, renewed, held, listed, deleted", async () => {
    using own = await started(version);
    const mapper = await own.probe();
    expect([mapper.protocol, mapper.identity.name]).toEqual([protocol, "Zoë's gateway"]);
    expect(await mapper.externalAddress(own.signal)).toEqual({ ok: true, value: "203.0.113.20" });
    expect(await mapper.uptimeSec(own.signal)).toEqual({ ok: true, value: 0 });
    for (const kind of ["tcp", "udp"] as const) {
      const wish = { ...WISH, protocol: kind };
      const mapped = await mapper.map(wish, null, own.signal);
      if (!mapped.ok) throw new Error(mapped.error.message);
      expect(mapped.value).toEqual({ externalAddress: null, externalPort: 8080, lifetimeSec: 3600, ticket: "" });
      expect(await mapper.map({ ...wish, lifetimeSec: 60 }, mapped.value, own.signal)).toMatchObject({
        value: { lifetimeSec: 60 },
      });
      expect(await mapper.holds(wish, mapped.value, own.signal)).toEqual({ ok: true, value: true });
      expect(await mapper.list(own.signal)).toEqual({
        ok: true,
        value: [
          {
            protocol: kind,
            externalPort: 8080,
            internalAddress: "127.0.0.1",
            internalPort: 80,
            enabled: true,
            description: WISH.description,
            remainingSec: 60,
          },
        ],
      });
      expect(await mapper.unmap(wish, mapped.value, own.signal)).toEqual({ ok: true, value: null });
      expect(await mapper.unmap(wish, mapped.value, own.signal)).toEqual({ ok: true, value: null });
      expect(await mapper.holds(wish, mapped.value, own.signal)).toEqual({ ok: true, value: false });
    }
    expect(await mapper.list(own.signal)).toEqual({ ok: true, value: [] });
    mapper.close();
  });

  test("another host's port, and a port of this host's that leads elsewhere", async () => {
    using own = await started(version);
    const mapper = await own.probe({ descriptionUrl: own.server.location("127.0.0.1") });
    const mapped = await own.desk.map({
      ask: { via: "igd", action: "AddPortMapping" },
      requester: "127.0.0.7",
      internalAddress: "127.0.0.7",
      protocol: "tcp",
      internalPort: 80,
      externalPort: 8080,
      lifetimeSec: 60,
      description: "",
      remotes: [],
      enabled: true,
    });
    expect(mapped.ok).toBe(true);
    expect(await mapper.map(WISH, null, own.signal)).toMatchObject({
      ok: false,
      error: { kind: "conflict", code: 718 },
    });
    const other = await mapper.map({ ...WISH, exact: false }, null, own.signal);
    if (version === 1) expect(other).toMatchObject({ ok: false, error: { kind: "conflict" } });
    else expect(other).toMatchObject({ ok: true, value: { externalPort: WISH.internalPort } });
    expect(await mapper.map({ ...WISH, externalPort: 0, exact: false }, null, own.signal)).toMatchObject({ ok: true });
    mapper.close();
  });
});

test("all of six hundred mappings, which the server lists in two parts", async () => {
  using own = await started();
  for (let port = 10_000; port < 10_600; port++) own.desk.fix("127.0.0.1", "tcp", port);
  const mapper = await own.probe({ descriptionUrl: own.server.location("127.0.0.1") });
  const listed = await mapper.list(own.signal);
  expect(listed.ok && listed.value.length).toBe(600);
  mapper.close();
});

test("pinholes, over IPv6", async () => {
  using own = await started();
  const mapper = await own.probe({ gateway: V6, descriptionUrl: own.server.location("::1") });
  const wish = { ...WISH, internalAddress: "::1", internalPort: 8080 };
  const mapped = await mapper.map(wish, null, own.signal);
  if (!mapped.ok) throw new Error(mapped.error.message);
  expect(mapped.value).toMatchObject({ externalAddress: "::1", externalPort: 8080, lifetimeSec: 3600 });
  expect(await mapper.holds(wish, mapped.value, own.signal)).toEqual({ ok: true, value: true });
  const renewed = await mapper.map({ ...wish, lifetimeSec: 60 }, mapped.value, own.signal);
  expect(renewed).toEqual({ ok: true, value: { ...mapped.value, lifetimeSec: 60 } });
  expect(await mapper.unmap(wish, mapped.value, own.signal)).toEqual({ ok: true, value: null });
  expect(await mapper.holds(wish, mapped.value, own.signal)).toEqual({ ok: true, value: false });
  mapper.close();
});

test("over IPv4 a pinhole for an address of IPv6 is not permitted", async () => {
  using own = await started();
  const mapper = await own.probe({ descriptionUrl: own.server.location("127.0.0.1") });
  const mapped = await mapper.map({ ...WISH, internalAddress: "::1", internalPort: 8080 }, null, own.signal);
  expect(mapped).toMatchObject({ ok: false, error: { kind: "refused", code: 606 } });
  mapper.close();
});

test("a new start is noticed, and the gateway found where it is now", async () => {
  using own = await started();
  const mapper = await own.probe();
  const forgot = Promise.withResolvers<void>();
  mapper.onForgot(forgot.resolve);
  own.ending.abort();
  const again = new AbortController();
  const server = own.open(1_800_000_100_000, again.signal);
  await forgot.promise;
  const mapped = await mapper.map(WISH, null, again.signal);
  expect(mapped).toMatchObject({ ok: true });
  expect(mapper.descriptionUrl).toBe(server.location("127.0.0.1"));
  mapper.close();
  again.abort();
});
