import { describe, expect, test } from "bun:test";
import { FakeDesk } from "../../../test/fixtures/fake-desk.ts";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { MappingRefusalKind } from "../../core/mapping/refusal.ts";
import type { Gateway, MappingWish, RouterFailureKind } from "../../core/router/model.ts";
import { monotonicMs } from "../../os/clock.ts";
import { PortMapServer } from "../../servers/portmap/server.ts";
import { type Cidr, parseCidr } from "../../wire/address.ts";
import { type PortMapProbe, probePortMap } from "./probe.ts";

/** The client against this project's own server, on loopback. */

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

async function site(address: string, rules = { natPmp: true, pcp: true, thirdParty: false }) {
  const ending = new AbortController();
  const desk = new FakeDesk({ inside: ["127.0.0.0/8", "::1/128"], secureMode: !rules.thirdParty });
  const [clientPort = 0] = await freePorts(1);
  const server = new PortMapServer({
    desk,
    // No announcements: the epoch's turn comes with a later clock.
    epoch: ServerEpoch.lost(monotonicMs() + 1_000_000),
    nowMs: monotonicMs,
    signal: ending.signal,
    onFailure: (error) => expect(error).toBeNull(),
    port: 0,
  });
  const network = address.includes(":") ? "::1/128" : "127.0.0.0/8";
  const interfaces = [{ name: "lo", addresses: [address], networks: [cidr(network)] }];
  expect(server.apply({ ...rules, interfaces })).toEqual([]);
  const gateway: Gateway = {
    family: address.includes(":") ? 6 : 4,
    address,
    interfaceName: "lo",
    ownAddress: address,
    metric: 0,
  };
  const ignored: string[] = [];
  const probe = (only: PortMapProbe["only"]) =>
    probePortMap({
      gateway,
      signal: ending.signal,
      onIgnored: (reason) => ignored.push(reason),
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      nowMs: monotonicMs,
      port: server.endpoints[0]?.port ?? 0,
      clientPort,
      ...(only === undefined ? {} : { only }),
    });
  return {
    desk,
    ignored,
    signal: ending.signal,
    probe,
    async mapper(only: "pcp" | "nat-pmp") {
      const probed = await probe(only);
      const mapper = only === "pcp" ? probed.pcp : probed.natPmp;
      if (!mapper.ok) throw new Error(mapper.error.message);
      return mapper.value;
    },
    [Symbol.dispose]: () => ending.abort(),
  };
}

const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "127.0.0.1",
  internalPort: 4_000,
  externalPort: 5_000,
  exact: false,
  lifetimeSec: 3_600,
  description: "web",
};

describe.each(["pcp", "nat-pmp"] as const)("%s", (protocol) => {
  test("maps, renews and deletes", async () => {
    using lab = await site("127.0.0.1");
    const mapper = await lab.mapper(protocol);
    const made = await mapper.map(WISH, null, lab.signal);
    if (!made.ok) throw new Error(made.error.message);
    expect(made.value).toMatchObject({ externalPort: 5_000, lifetimeSec: 3_600 });
    expect(lab.desk.ports).toEqual(["tcp 5000"]);
    const renewed = await mapper.map({ ...WISH, lifetimeSec: 1_800 }, made.value, lab.signal);
    expect(renewed).toMatchObject({ value: { externalPort: 5_000, lifetimeSec: 1_800 } });
    expect(lab.desk.ports).toEqual(["tcp 5000"]);
    expect(await mapper.unmap(WISH, made.value, lab.signal)).toEqual({ ok: true, value: null });
    expect(lab.desk.ports).toEqual([]);
    expect(await mapper.unmap(WISH, made.value, lab.signal)).toEqual({ ok: true, value: null });
    expect(await mapper.uptimeSec(lab.signal)).toEqual({ ok: true, value: 100 });
    mapper.close();
    expect(lab.ignored).toEqual([]);
  });

  test("a port that is taken, exactly and not", async () => {
    using lab = await site("127.0.0.1");
    lab.desk.fix("127.0.0.9", "tcp", 5_000);
    const mapper = await lab.mapper(protocol);
    expect(await mapper.map({ ...WISH, exact: true }, null, lab.signal)).toMatchObject({ error: { kind: "conflict" } });
    expect(lab.desk.ports).toEqual(["tcp 5000"]);
    const other = await mapper.map(WISH, null, lab.signal);
    if (!other.ok) throw new Error(other.error.message);
    expect(other.value.externalPort).not.toBe(5_000);
    mapper.close();
  });

  test("a gateway without an address outside", async () => {
    using lab = await site("127.0.0.1");
    lab.desk.external = null;
    const mapper = await lab.mapper(protocol);
    expect(await mapper.map(WISH, null, lab.signal)).toMatchObject({ error: { kind: "no-uplink" } });
    mapper.close();
  });

  test.each<[MappingRefusalKind, RouterFailureKind]>([
    ["notPermitted", "refused"],
    ["quota", "exhausted"],
    ["noPorts", "exhausted"],
  ])("what it refuses: %s is %s", async (refusal, kind) => {
    using lab = await site("127.0.0.1");
    lab.desk.refusal = { kind: refusal, message: "", heldForSec: null };
    const mapper = await lab.mapper(protocol);
    const refused = await mapper.map(WISH, null, lab.signal);
    if (refused.ok) throw new Error("it was allowed");
    expect(refused.error.kind).toBe(kind);
    expect(refused.error.retryAfterSec).toBe(protocol === "nat-pmp" ? undefined : kind === "refused" ? 1_800 : 30);
    mapper.close();
  });

  test("its mappings are gone after a restart", async () => {
    using lab = await site("127.0.0.1");
    const mapper = await lab.mapper(protocol);
    const forgot = Promise.withResolvers<void>();
    mapper.onForgot(forgot.resolve);
    lab.desk.epoch = 0;
    await mapper.uptimeSec(lab.signal);
    await forgot.promise;
    mapper.close();
  });
});

test("the address outside", async () => {
  using lab = await site("127.0.0.1");
  const natPmp = await lab.mapper("nat-pmp");
  expect(await natPmp.externalAddress(lab.signal)).toEqual({ ok: true, value: "203.0.113.20" });
  const pcp = await lab.mapper("pcp");
  await pcp.map(WISH, null, lab.signal);
  expect(await pcp.externalAddress(lab.signal)).toEqual({ ok: true, value: "203.0.113.20" });
  for (const mapper of [natPmp, pcp]) mapper.close();
});

test("one protocol alone says of the other that it is not spoken", async () => {
  for (const [rules, spoken] of [
    [{ natPmp: false, pcp: true, thirdParty: false }, [true, false]],
    [{ natPmp: true, pcp: false, thirdParty: false }, [false, true]],
  ] as const) {
    using lab = await site("127.0.0.1", rules);
    const { pcp, natPmp } = await lab.probe(undefined);
    expect([pcp.ok, natPmp.ok]).toEqual([...spoken]);
    for (const one of [pcp, natPmp]) {
      if (one.ok) one.value.close();
      else expect(one.error.kind).toBe("unsupported");
    }
  }
});

test("a port for another host", async () => {
  const forNas = { ...WISH, internalAddress: "127.0.0.9" };
  for (const thirdParty of [false, true]) {
    using lab = await site("127.0.0.1", { natPmp: true, pcp: true, thirdParty });
    const mapper = await lab.mapper("pcp");
    const made = await mapper.map(forNas, null, lab.signal);
    if (made.ok) {
      expect(await mapper.unmap(forNas, made.value, lab.signal)).toEqual({ ok: true, value: null });
    } else expect(made.error).toMatchObject({ kind: "unsupported", code: 5 });
    expect(made.ok).toBe(thirdParty);
    mapper.close();
  }
});

test("a pinhole over IPv6; NAT-PMP is not asked there", async () => {
  using lab = await site("::1");
  const { pcp, natPmp } = await lab.probe(undefined);
  if (!pcp.ok || natPmp.ok) throw new Error("PCP alone is of IPv6");
  expect(natPmp.error.kind).toBe("unsupported");
  const wish = { ...WISH, internalAddress: "::1", externalPort: 0 };
  const made = await pcp.value.map(wish, null, lab.signal);
  if (!made.ok) throw new Error(made.error.message);
  expect(made.value).toMatchObject({ externalAddress: "::1", externalPort: 4_000 });
  expect(await pcp.value.unmap(wish, made.value, lab.signal)).toEqual({ ok: true, value: null });
  pcp.value.close();
});
