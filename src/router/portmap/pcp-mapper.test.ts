import { describe, expect, test } from "bun:test";
import { EXACT, PortMapBench, WISH } from "../../../test/fixtures/fake-router/portmap-bench.ts";
import type { Grant, Mapper, MappingWish, RouterFailureKind } from "../../core/router/model.ts";

async function made(bench: PortMapBench, mapper: Mapper, wish: MappingWish = WISH, held: Grant | null = null) {
  const grant = await mapper.map(wish, held, bench.signal);
  if (!grant.ok) throw new Error(grant.error.message);
  return grant.value;
}

describe("map", () => {
  test("opens, renews and deletes by one nonce, of each protocol", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const tickets = new Set<string>();
    for (const protocol of ["tcp", "udp"] as const) {
      const wish = { ...WISH, protocol };
      const grant = await made(bench, mapper, wish);
      expect(grant).toMatchObject({ externalAddress: "203.0.113.20", externalPort: 8080, lifetimeSec: 3600 });
      tickets.add(grant.ticket);
      expect(await made(bench, mapper, { ...wish, lifetimeSec: null }, grant)).toEqual({
        ...grant,
        lifetimeSec: 86_400,
      });
      expect(bench.fake.list).toEqual([`${protocol} 8080>80`]);
      expect(await mapper.unmap(wish, grant, bench.signal)).toEqual({ ok: true, value: null });
      expect(bench.fake.list).toEqual([]);
    }
    expect(tickets.size).toBe(2);
    for (const ticket of tickets) expect(ticket).toMatch(/^[0-9a-f]{24}$/);
  });

  test("a grant of another protocol is none to renew by", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const held: Grant = { externalAddress: null, externalPort: 9090, lifetimeSec: 60, ticket: "" };
    expect(await made(bench, mapper, WISH, held)).toMatchObject({ externalPort: 9090 });
  });

  test("somebody else's mapping cannot be deleted", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const grant = await made(bench, mapper);
    const forged = { ...grant, ticket: "ab".repeat(12) };
    expect(await mapper.unmap(WISH, forged, bench.signal)).toMatchObject({ error: { kind: "refused", code: 2 } });
    expect(bench.fake.list).toEqual(["tcp 8080>80"]);
  });

  test("an answer with another nonce does not count", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    bench.fake.moods.wrongNonce = true;
    const mapping = mapper.map(WISH, null, bench.signal);
    await bench.hasIgnored("other-nonce 127.0.0.1 1");
    bench.fake.moods.wrongNonce = false;
    await bench.pass(250);
    expect(await mapping).toMatchObject({ ok: true, value: { externalPort: 8080 } });
  });
});

describe("one port and no other", () => {
  test("the router is told, and keeps the conflict to itself", async () => {
    await using bench = await PortMapBench.start();
    bench.fake.taken.add("tcp 8080");
    const mapper = await bench.mapper("pcp");
    expect(await mapper.map(EXACT, null, bench.signal)).toMatchObject({ error: { kind: "conflict", code: 11 } });
    expect(bench.fake.asked).toEqual(["pcp tcp 8080>80 3600s exact"]);
    expect(await made(bench, mapper)).toMatchObject({ externalPort: 8081 });
  });

  test("one that ignores that loses the mapping again", async () => {
    await using bench = await PortMapBench.start({ preferFailure: "ignored", otherPort: true });
    const mapper = await bench.mapper("pcp");
    expect(await mapper.map(EXACT, null, bench.signal)).toMatchObject({ error: { kind: "conflict", code: null } });
    expect(bench.fake.asked).toEqual(["pcp tcp 8080>80 3600s exact", "pcp tcp 8080>80 0s"]);
    expect(bench.fake.list).toEqual([]);
  });

  test("one that does not know the option is not asked with it again", async () => {
    await using bench = await PortMapBench.start({ preferFailure: "unknown" });
    const mapper = await bench.mapper("pcp");
    const grant = await made(bench, mapper, EXACT);
    await made(bench, mapper, EXACT, grant);
    const plain = "pcp tcp 8080>80 3600s";
    expect(bench.fake.asked).toEqual([`${plain} exact`, plain, plain]);
  });
});

describe("another host", () => {
  const FOR_NAS = { ...EXACT, internalAddress: "127.0.0.9" };

  test("by THIRD_PARTY, where the router lets it", async () => {
    await using bench = await PortMapBench.start({ thirdParty: true });
    const mapper = await bench.mapper("pcp");
    const grant = await made(bench, mapper, FOR_NAS);
    await mapper.unmap(FOR_NAS, grant, bench.signal);
    expect(bench.fake.asked).toEqual(["pcp tcp 8080>80 3600s exact for 127.0.0.9", "pcp tcp 8080>80 0s for 127.0.0.9"]);
  });

  test("where it does not, it says what to do, and asks with PREFER_FAILURE the next time all the same", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const refused = await mapper.map(FOR_NAS, null, bench.signal);
    if (refused.ok) throw new Error("it was let");
    expect(refused.error).toMatchObject({ kind: "unsupported", code: 5 });
    expect(refused.error.message).toContain("run Hatchway on 127.0.0.9");
    await made(bench, mapper, EXACT);
    expect(bench.fake.asked.at(-1)).toBe("pcp tcp 8080>80 3600s exact");
  });
});

describe("refusals", () => {
  test.each<[code: number, kind: RouterFailureKind]>([
    [2, "refused"],
    [3, "garbled"],
    [4, "unsupported"],
    [7, "no-uplink"],
    [8, "exhausted"],
    [9, "unsupported"],
    [10, "exhausted"],
    [11, "conflict"],
    [12, "unsupported"],
    [99, "refused"],
  ])("code %d is %s, and says how long to wait", async (code, kind) => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    Object.assign(bench.fake.moods, { pcpResult: code, refusedForSec: 77 });
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ error: { kind, code, retryAfterSec: 77 } });
    expect(bench.fake.asked).toHaveLength(1);
  });

  test("a router that went back to NAT-PMP alone says so", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    bench.fake.moods.pcp = false;
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ error: { kind: "unsupported" } });
  });

  test("IPv6 is for the gateway of IPv6", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const wish = { ...WISH, internalAddress: "2001:db8::5" };
    expect(await mapper.map(wish, null, bench.signal)).toMatchObject({ error: { kind: "unsupported" } });
    expect(bench.fake.asked).toEqual([]);
  });
});

describe("what it says of itself", () => {
  test("its address once it has opened a port, and its epoch with ANNOUNCE or without", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: null });
    await made(bench, mapper);
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: "203.0.113.20" });
    for (const pcpAnnounceResult of [0, 4]) {
      bench.fake.moods.pcpAnnounceResult = pcpAnnounceResult;
      expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: 5_000 });
    }
  });

  test("0.0.0.0 is no address", async () => {
    await using bench = await PortMapBench.start({ external: "0.0.0.0" });
    const mapper = await bench.mapper("pcp");
    expect(await made(bench, mapper)).toMatchObject({ externalAddress: null });
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: null });
  });
  test("no list, no state of one mapping", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    expect(mapper.list(bench.signal)).toBeNull();
    expect(
      await mapper.holds(WISH, { ...WISH, externalAddress: null, ticket: "", lifetimeSec: 1 }, bench.signal),
    ).toEqual({
      ok: true,
      value: null,
    });
  });
});
