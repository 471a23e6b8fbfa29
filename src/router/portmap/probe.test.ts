import { describe, expect, test } from "bun:test";
import type { PortMapMoods } from "../../../test/fixtures/fake-router/portmap.ts";
import { PortMapBench } from "../../../test/fixtures/fake-router/portmap-bench.ts";
import type { Mapper, RouterFailure } from "../../core/router/model.ts";
import type { Result } from "../../wire/result.ts";

const word = (result: Result<Mapper, RouterFailure>): string => (result.ok ? result.value.protocol : result.error.kind);

describe("what a router speaks", () => {
  test.each<[name: string, moods: Partial<PortMapMoods>, pcp: string, natPmp: string]>([
    ["both", {}, "pcp", "nat-pmp"],
    ["PCP alone, which says so", { natPmp: false }, "pcp", "unsupported"],
    ["NAT-PMP alone, which says so", { pcp: false }, "unsupported", "nat-pmp"],
    ["PCP without ANNOUNCE", { pcpAnnounceResult: 4 }, "pcp", "nat-pmp"],
    ["PCP behind another NAT", { pcpAnnounceResult: 12 }, "unsupported", "nat-pmp"],
    ["switched off in its settings", { pcpAnnounceResult: 2, natPmpAddressResult: 2 }, "refused", "refused"],
    ["with its line down", { natPmpAddressResult: 3, pcpAnnounceResult: 7 }, "pcp", "nat-pmp"],
    ["without an address", { external: "0.0.0.0" }, "pcp", "nat-pmp"],
    ["the first two packets lost", { drop: 2 }, "pcp", "nat-pmp"],
  ])("%s", async (_, moods, pcp, natPmp) => {
    await using bench = await PortMapBench.start(moods);
    const probing = bench.probe();
    if (moods.drop !== undefined) {
      await bench.fake.received(2);
      await bench.pass(250);
    }
    const probed = await probing;
    expect([word(probed.pcp), word(probed.natPmp)]).toEqual([pcp, natPmp]);
    expect(bench.ignored).toEqual([]);
  });

  test("a silent one is given up after 2 s and four packets of each", async () => {
    await using bench = await PortMapBench.start({ silent: true });
    const probing = bench.probe();
    for (const [wait, packets] of [
      [250, 2],
      [500, 4],
      [1_000, 6],
      [250, 8],
    ] as const) {
      await bench.fake.received(packets);
      await bench.pass(wait);
    }
    const probed = await probing;
    expect([word(probed.pcp), word(probed.natPmp)]).toEqual(["silent", "silent"]);
    expect(bench.fake.asked).toHaveLength(8);
    expect(bench.timers.count()).toBe(0);
  });

  test("nothing listens: known after a second look", async () => {
    await using bench = await PortMapBench.start();
    const { port } = bench.fake;
    await bench.fake[Symbol.asyncDispose]();
    const probing = bench.probe({ port });
    await bench.pass(100);
    const probed = await probing;
    expect([word(probed.pcp), word(probed.natPmp)]).toEqual(["closed", "closed"]);
  });

  test("one protocol alone is asked for", async () => {
    await using bench = await PortMapBench.start();
    const natPmp = await bench.probe({ only: "nat-pmp" });
    expect([word(natPmp.pcp), word(natPmp.natPmp)]).toEqual(["unsupported", "nat-pmp"]);
    const pcp = await bench.probe({ only: "pcp" });
    expect([word(pcp.pcp), word(pcp.natPmp)]).toEqual(["pcp", "unsupported"]);
    expect(bench.fake.asked).toEqual(["nat-pmp address", "pcp announce"]);
  });

  test("an own address that is gone is told", async () => {
    await using bench = await PortMapBench.start();
    const probed = await bench.probe({ gateway: { ...bench.fake.gateway, ownAddress: "192.0.2.77" } });
    if (probed.pcp.ok) throw new Error("it is not gone");
    expect(probed.pcp.error).toEqual({
      kind: "silent",
      code: null,
      message: "This machine does not have the address 192.0.2.77 any more; look for the router again.",
    });
  });

  test("a router that there is no way to is told", async () => {
    await using bench = await PortMapBench.start();
    // The kernel has no route to this class.
    const probed = await bench.probe({ gateway: { ...bench.fake.gateway, address: "240.0.0.1" } });
    if (probed.pcp.ok) throw new Error("there is one");
    expect(probed.pcp.error.message).toBe(
      "The router at 240.0.0.1 cannot be reached; look whether this machine is still on its network.",
    );
  });

  test("the end of the signal ends it, and one that has ended asks nothing", async () => {
    await using bench = await PortMapBench.start({ silent: true });
    const probing = bench.probe();
    await bench.fake.received(2);
    bench.ending.abort();
    const probed = await probing;
    expect([word(probed.pcp), word(probed.natPmp)]).toEqual(["silent", "silent"]);
    await bench.probe();
    expect(bench.fake.asked).toHaveLength(2);
    expect(bench.timers.count()).toBe(0);
  });
});

describe("what does not count", () => {
  test.each<[name: string, moods: Partial<PortMapMoods>, ignored: string]>([
    ["an answer from another host", { from: "other-host" }, "other-host 127.0.0.2"],
    ["an answer from another port of the router", { from: "other-port" }, "other-port 127.0.0.1"],
    ["an answer that is cut", { cutAt: 7 }, "unreadable 127.0.0.1"],
    [
      "an answer to another question",
      { instead: Uint8Array.fromHex("008100000000000100500050000e1000") },
      "unasked 127.0.0.1",
    ],
    ["a request instead of an answer", { instead: Uint8Array.of(0, 0) }, "unreadable 127.0.0.1"],
  ])("%s", async (_, moods, ignored) => {
    await using bench = await PortMapBench.start(moods);
    const probing = bench.probe();
    await bench.hasIgnored(`${ignored} 2`);
    // The right one still does.
    Object.assign(bench.fake.moods, { from: "itself", cutAt: 1_100, instead: null });
    await bench.pass(250);
    const probed = await probing;
    expect([word(probed.pcp), word(probed.natPmp)]).toEqual(["pcp", "nat-pmp"]);
  });

  test("an answer that comes twice is nothing to tell", async () => {
    await using bench = await PortMapBench.start({ twice: true });
    const { natPmp } = await bench.probe();
    if (!natPmp.ok) throw new Error("no NAT-PMP");
    expect((await natPmp.value.externalAddress(bench.signal)).ok).toBe(true);
    expect(bench.ignored).toEqual([]);
  });
});
