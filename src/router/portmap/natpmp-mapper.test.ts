import { describe, expect, test } from "bun:test";
import type { PortMapMoods } from "../../../test/fixtures/fake-router/portmap.ts";
import { EXACT, HELD, PortMapBench, WISH } from "../../../test/fixtures/fake-router/portmap-bench.ts";
import type { RouterFailureKind } from "../../core/router/model.ts";

describe("map", () => {
  test("opens, renews and deletes, of each protocol", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    for (const protocol of ["tcp", "udp"] as const) {
      const wish = { ...WISH, protocol };
      const made = await mapper.map(wish, null, bench.signal);
      expect(made).toEqual({ ok: true, value: HELD });
      expect(await mapper.map({ ...wish, lifetimeSec: null }, HELD, bench.signal)).toMatchObject({
        value: { externalPort: 8080, lifetimeSec: 7200 },
      });
      expect(bench.fake.list).toEqual([`${protocol} 8080>80`]);
      expect(await mapper.unmap(wish, HELD, bench.signal)).toEqual({ ok: true, value: null });
      expect(bench.fake.list).toEqual([]);
    }
    expect(await mapper.unmap(WISH, HELD, bench.signal)).toEqual({ ok: true, value: null });
  });

  test("takes the port that the router gives, and asks for it from then on", async () => {
    await using bench = await PortMapBench.start();
    bench.fake.taken.add("tcp 8080");
    const mapper = await bench.mapper("nat-pmp");
    const made = await mapper.map(WISH, null, bench.signal);
    if (!made.ok) throw new Error(made.error.message);
    expect(made.value.externalPort).toBe(8081);
    await mapper.map(WISH, made.value, bench.signal);
    expect(bench.fake.asked).toEqual(["nat-pmp tcp 8080>80 3600s", "nat-pmp tcp 8081>80 3600s"]);
  });

  test("leaves nothing behind when it is not the port that is wanted", async () => {
    await using bench = await PortMapBench.start({ otherPort: true });
    const mapper = await bench.mapper("nat-pmp");
    expect(await mapper.map(EXACT, null, bench.signal)).toMatchObject({ error: { kind: "conflict" } });
    expect(bench.fake.asked).toEqual(["nat-pmp tcp 8080>80 3600s", "nat-pmp tcp 0>80 0s"]);
    expect(bench.fake.list).toEqual([]);
    bench.fake.moods.otherPort = false;
    expect(await mapper.map(EXACT, null, bench.signal)).toMatchObject({ value: { externalPort: 8080 } });
  });

  test.each<[name: string, moods: Partial<PortMapMoods>, kind: RouterFailureKind, code: number]>([
    ["a version that it does not speak", { natPmpResult: 1 }, "unsupported", 1],
    ["not allowed", { natPmpResult: 2 }, "refused", 2],
    ["its line is down", { natPmpResult: 3 }, "no-uplink", 3],
    ["its table is full", { natPmpResult: 4 }, "exhausted", 4],
    ["a reason of its own", { natPmpResult: 77 }, "refused", 77],
  ])("%s", async (_, moods, kind, code) => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    Object.assign(bench.fake.moods, moods);
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ error: { kind, code } });
    expect(bench.fake.asked).toHaveLength(1);
  });

  test("what NAT-PMP has no words for is not asked", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    for (const internalAddress of ["2001:db8::5", "192.168.1.9"]) {
      const wish = { ...WISH, internalAddress };
      expect(await mapper.map(wish, null, bench.signal)).toMatchObject({ error: { kind: "unsupported" } });
      expect(await mapper.unmap(wish, HELD, bench.signal)).toMatchObject({ error: { kind: "unsupported" } });
    }
    expect(bench.fake.asked).toEqual([]);
  });

  test("a router that went over to PCP alone says so", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    bench.fake.moods.natPmp = false;
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({ error: { kind: "unsupported" } });
  });
});

describe("what it says of itself", () => {
  test("its address, of which 0.0.0.0 is none, and its epoch", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: "203.0.113.20" });
    bench.fake.moods.external = "0.0.0.0";
    expect(await mapper.externalAddress(bench.signal)).toEqual({ ok: true, value: null });
    expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: 5_000 });
    bench.fake.moods.natPmpAddressResult = 3;
    expect(await mapper.externalAddress(bench.signal)).toMatchObject({ error: { kind: "no-uplink" } });
    // The epoch stands in a failure as well.
    expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: 5_000 });
  });
  test("no list, no state of one mapping, and no name", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    expect(mapper.list(bench.signal)).toBeNull();
    expect(await mapper.holds(WISH, HELD, bench.signal)).toEqual({ ok: true, value: null });
    expect(mapper.identity).toEqual({ manufacturer: null, model: null, name: null, page: null });
    expect(mapper.gateway).toEqual(bench.fake.gateway);
  });
});
