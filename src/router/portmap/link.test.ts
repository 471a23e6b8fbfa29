import { describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { PortMapBench, WISH } from "../../../test/fixtures/fake-router/portmap-bench.ts";
import type { Mapper } from "../../core/router/model.ts";

/** What `onForgot` told, and a promise of the next time. */
function forgetting(mapper: Mapper) {
  const told = { times: 0, stop: () => {} };
  let next = Promise.withResolvers<void>();
  told.stop = mapper.onForgot(() => {
    told.times++;
    next.resolve();
    next = Promise.withResolvers();
  });
  return { told, next: () => next.promise };
}

describe.each(["pcp", "nat-pmp"] as const)("%s: a router that lost its mappings", (protocol) => {
  test("shows it by any answer, once", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    const { told } = forgetting(mapper);
    await mapper.map(WISH, null, bench.signal);
    expect(told.times).toBe(0);
    bench.nowMs += 60_000;
    bench.fake.reboot();
    await mapper.uptimeSec(bench.signal);
    expect(told.times).toBe(1);
    await mapper.map(WISH, null, bench.signal);
    expect(told.times).toBe(1);
    told.stop();
    bench.fake.epochSec = 9_000;
    bench.nowMs += 9_000_000;
    bench.fake.reboot();
    await mapper.uptimeSec(bench.signal);
    expect(told.times).toBe(1);
  });

  test("also by one that refuses", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    const { told } = forgetting(mapper);
    bench.fake.reboot();
    Object.assign(bench.fake.moods, { pcpResult: 8, natPmpResult: 4 });
    expect((await mapper.map(WISH, null, bench.signal)).ok).toBe(false);
    expect(told.times).toBe(1);
  });

  test("announces it, by whichever protocol, and is asked", async () => {
    await using bench = await PortMapBench.start();
    for (const announced of ["pcp", "nat-pmp"] as const) {
      const mapper = await bench.mapper(protocol);
      const { told, next } = forgetting(mapper);
      await bench.hears();
      bench.fake.reboot();
      const forgot = next();
      bench.fake.announce(announced, bench.clientPort);
      await forgot;
      expect(told.times).toBe(1);
      bench.fake.epochSec = 5_000;
      mapper.close();
    }
  });
});

describe.each(["pcp", "nat-pmp"] as const)("%s: a router that", (protocol) => {
  test("is slow is asked again, and its first answer is the answer", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    bench.fake.moods.slow = true;
    const mapping = mapper.map(WISH, null, bench.signal);
    await bench.fake.received(1);
    await bench.pass(250);
    await bench.fake.received(2);
    bench.fake.release();
    expect(await mapping).toMatchObject({ ok: true });
    // The second answer has come by now, and is nothing to tell.
    bench.fake.moods.slow = false;
    await mapper.uptimeSec(bench.signal);
    expect(bench.ignored).toEqual([]);
  });

  test("went silent is given up after 4 s and five packets", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    bench.fake.moods.silent = true;
    const mapping = mapper.map(WISH, null, bench.signal);
    let packets = 0;
    for (const wait of [250, 500, 1_000, 2_000, 250]) {
      await bench.fake.received(++packets);
      await bench.pass(wait);
    }
    expect(await mapping).toMatchObject({ error: { kind: "silent", code: null } });
    expect(bench.fake.asked).toHaveLength(5);
  });

  test("forgets a mapping without a word gets it again by the renewal, at the same port", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    const made = await mapper.map({ ...WISH, externalPort: 9090 }, null, bench.signal);
    if (!made.ok) throw new Error(made.error.message);
    bench.fake.mappings.clear();
    expect(await mapper.map(WISH, made.value, bench.signal)).toEqual(made);
    expect(bench.fake.list).toEqual(["tcp 9090>80"]);
  });

  test("is answered for by another host still has the word", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper(protocol);
    bench.fake.moods.from = "other-host";
    const mapping = mapper.map(WISH, null, bench.signal);
    await bench.hasIgnored("other-host 127.0.0.2 1");
    bench.fake.moods.from = "itself";
    await bench.pass(250);
    expect(await mapping).toMatchObject({ ok: true, value: { externalPort: 8080 } });
  });
});

describe("announcements", () => {
  test("of a router whose epoch goes on count as well, once in 30 s: anybody on the link can send them", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("nat-pmp");
    const { told, next } = forgetting(mapper);
    await bench.hears();
    const announce = async () => {
      const before = bench.fake.asked.length;
      bench.fake.announce("pcp", bench.clientPort);
      await bench.fake.received(before + 1);
      // Asked after it, so its answer has come.
      await mapper.uptimeSec(bench.signal);
      await bench.pass(1_000);
      bench.fake.epochSec += 1;
    };
    const forgot = next();
    await announce();
    await forgot;
    await announce();
    expect(told.times).toBe(1);
    bench.nowMs += 29_000;
    bench.fake.epochSec += 29;
    await announce();
    expect(told.times).toBe(2);
  });

  test("of a router that does not answer prove nothing", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const { told } = forgetting(mapper);
    await bench.hears();
    bench.fake.moods.silent = true;
    bench.fake.announce("pcp", bench.clientPort);
    for (const [packets, wait] of [
      [1, 250],
      [2, 500],
    ] as const) {
      await bench.fake.received(packets);
      await bench.pass(wait);
    }
    bench.nowMs = 2_000;
    await bench.timers.fire(1_000);
    expect(bench.timers.count()).toBe(0);
    expect(told.times).toBe(0);
  });

  test("a flood of them is one question a second", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    forgetting(mapper);
    await bench.hears();
    bench.fake.announce("pcp", bench.clientPort);
    await bench.fake.received(1);
    for (let n = 0; n < 20; n++) bench.fake.announce("pcp", bench.clientPort);
    // Sent after them, and counted: so they have been read.
    bench.fake.announce("pcp", bench.clientPort, "other-host");
    await bench.hasIgnored("other-announcement 127.0.0.2");
    expect(bench.fake.asked).toEqual(["pcp announce"]);
    await bench.pass(1_000);
    await bench.fake.received(2);
    await bench.pass(1_000);
    await mapper.uptimeSec(bench.signal);
    expect(bench.fake.asked).toHaveLength(3);
  });

  test("of another router are counted, and whatever is none is nothing", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    const { told } = forgetting(mapper);
    await bench.hears();
    bench.fake.reboot();
    bench.fake.announce("pcp", bench.clientPort, "other-host");
    await bench.hasIgnored("other-announcement 127.0.0.2");
    expect(bench.fake.asked).toEqual([]);
    expect(told.times).toBe(0);
  });

  test("another program has the port alone: that is told, and the rest goes on", async () => {
    await using bench = await PortMapBench.start();
    const other = createSocket("udp4");
    const { promise, resolve } = Promise.withResolvers<void>();
    other.bind(bench.clientPort, resolve);
    await promise;
    const mapper = await bench.mapper("pcp");
    const { told } = forgetting(mapper);
    expect(await bench.isDeaf()).toContain(`is not heard on port ${bench.clientPort}`);
    bench.fake.reboot();
    await mapper.uptimeSec(bench.signal);
    expect(told.times).toBe(1);
    other.close();
  });
});

describe("the end", () => {
  test("questions under way are called off when the last mapper closes, not before", async () => {
    await using bench = await PortMapBench.start();
    const { pcp, natPmp } = await bench.probe();
    if (!pcp.ok || !natPmp.ok) throw new Error("it speaks both");
    bench.fake.moods.slow = true;
    const asking = natPmp.value.externalAddress(bench.signal);
    await bench.fake.received(3);
    pcp.value.close();
    pcp.value.close();
    bench.fake.release();
    expect((await asking).ok).toBe(true);
    const late = natPmp.value.externalAddress(bench.signal);
    await bench.fake.received(4);
    natPmp.value.close();
    expect(await late).toMatchObject({ error: { kind: "silent" } });
    expect(await natPmp.value.externalAddress(bench.signal)).toMatchObject({ error: { kind: "silent" } });
    expect(bench.timers.count()).toBe(0);
  });

  test("one question called off leaves the others", async () => {
    await using bench = await PortMapBench.start({});
    const mapper = await bench.mapper("nat-pmp");
    bench.fake.moods.slow = true;
    const ending = new AbortController();
    const [first, second] = [ending.signal, bench.signal].map((signal, at) =>
      mapper.map({ ...WISH, internalPort: 80 + at }, null, signal),
    );
    await bench.fake.received(2);
    ending.abort();
    expect(await first).toMatchObject({ error: { kind: "silent" } });
    bench.fake.release();
    expect(await second).toMatchObject({ ok: true });
  });

  test("a range of ports, four at a time", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    bench.fake.moods.slow = true;
    const ports = Array.from({ length: 40 }, (_, at) => 4_000 + at);
    const grants = Promise.all(
      ports.map((port) => mapper.map({ ...WISH, internalPort: port, externalPort: port }, null, bench.signal)),
    );
    await bench.fake.received(4);
    expect(bench.fake.asked).toHaveLength(4);
    bench.fake.moods.slow = false;
    bench.fake.release();
    expect((await grants).every(({ ok }) => ok)).toBe(true);
    expect(bench.fake.list).toHaveLength(40);
  });

  test("a router whose service ended says so at once, and answers again when it is back", async () => {
    await using bench = await PortMapBench.start();
    const mapper = await bench.mapper("pcp");
    await bench.fake[Symbol.asyncDispose]();
    for (let n = 0; n < 3; n++) {
      const mapping = mapper.map(WISH, null, bench.signal);
      await bench.pass(100);
      expect(await mapping).toMatchObject({ error: { kind: "closed" } });
    }
    await bench.restart();
    const mapping = mapper.map(WISH, null, bench.signal);
    await bench.fake.received(1);
    expect(await mapping).toMatchObject({ ok: true });
  });
});
