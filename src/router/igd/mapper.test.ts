import { describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { FAKE_UUID } from "../../../test/fixtures/fake-router/igd.ts";
import { HELD, IgdBench, WISH } from "../../../test/fixtures/fake-router/igd-bench.ts";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import type { IgdRouterMapper } from "./probe.ts";

/** Counts, and lets a test wait for, what the mapper tells. */
class Forgotten {
  count = 0;
  #wake: () => void = () => {};
  readonly stop: () => void;

  constructor(mapper: IgdRouterMapper) {
    this.stop = mapper.onForgot(() => {
      this.count++;
      this.#wake();
    });
  }

  async times(count: number): Promise<void> {
    while (this.count < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

/** The client's listener is there once it hears the router: an announcement that tells nothing new is asked about. */
async function listening(bench: IgdBench): Promise<void> {
  while (bench.fake.count("GetStatusInfo") === 0) {
    bench.fake.announce("alive");
    const heard = bench.fake.counted("GetStatusInfo").then(() => true);
    await Promise.race([heard, new Promise((resolve) => setImmediate(resolve))]);
  }
}

async function searched(bench: IgdBench): Promise<IgdRouterMapper> {
  const probed = await bench.probe();
  if (!probed.ok) throw new Error(probed.error.message);
  bench.fake.counts.clear();
  return probed.value;
}

describe("the router started anew", () => {
  test("with another number than the search said", async () => {
    await using bench = await IgdBench.start();
    const forgotten = new Forgotten(await searched(bench));
    await listening(bench);
    bench.fake.reboot();
    await forgotten.times(1);
    // It says so once for each thing that it is.
    bench.fake.announce("alive");
    bench.fake.announce("alive");
    bench.fake.reboot();
    await forgotten.times(2);
    expect(forgotten.count).toBe(2);
  });

  test("with the same number: a farewell and a greeting", async () => {
    await using bench = await IgdBench.start();
    const forgotten = new Forgotten(await searched(bench));
    await listening(bench);
    bench.fake.announce("byebye");
    bench.fake.reboot({ bootId: bench.fake.bootId });
    await forgotten.times(1);
  });

  test("with the same number and no farewell: its uptime went backwards", async () => {
    await using bench = await IgdBench.start();
    const forgotten = new Forgotten(await searched(bench));
    await listening(bench);
    bench.nowMs += 60_000;
    bench.fake.reboot({ bootId: bench.fake.bootId });
    await forgotten.times(1);
  });

  test("without a word: the next answer tells", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    const forgotten = new Forgotten(mapper);
    await mapper.uptimeSec(bench.signal);
    bench.fake.reboot({ bootId: bench.fake.bootId, silently: true });
    expect(await mapper.uptimeSec(bench.signal)).toEqual({ ok: true, value: 1 });
    expect(forgotten.count).toBe(1);
  });

  test("on another port, with other paths: it is found again, and what was asked is done", async () => {
    await using bench = await IgdBench.start();
    const timers = new ManualTimers();
    const mapper = await bench.mapper({ after: timers.after });
    const forgotten = new Forgotten(mapper);
    await mapper.externalAddress(bench.signal);
    await bench.fake.stopHttp();
    bench.fake.reboot({ silently: true });
    await bench.fake.listen();
    const mapping = mapper.map(WISH, HELD, bench.signal);
    await timers.fire(300);
    expect(await mapping).toMatchObject({ ok: true, value: { externalPort: 8080 } });
    expect(mapper.descriptionUrl).toBe(bench.fake.location());
    // The description that a person named came without a number: the search's is the first.
    expect(forgotten.count).toBe(0);
  });

  test("found again with another number: that is told, too", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    const forgotten = new Forgotten(mapper);
    await bench.fake.stopHttp();
    bench.fake.reboot({ silently: true });
    await bench.fake.listen();
    expect((await mapper.map(WISH, HELD, bench.signal)).ok).toBe(true);
    expect(forgotten.count).toBe(1);
  });

  test("where it announced itself it is asked without a search", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    const forgotten = new Forgotten(mapper);
    await listening(bench);
    await bench.fake.stopHttp();
    await bench.fake.listen();
    bench.fake.reboot();
    await forgotten.times(1);
    expect((await mapper.map(WISH, HELD, bench.signal)).ok).toBe(true);
    expect(bench.fake.count("search")).toBe(0);
  });

  test("not found: the next calls do not look for it again at once", async () => {
    await using bench = await IgdBench.start();
    const timers = new ManualTimers();
    const mapper = await bench.mapper({ after: timers.after });
    await bench.fake.stopHttp();
    bench.fake.faults.silentSearch = true;
    const first = mapper.map(WISH, HELD, bench.signal);
    await timers.fire(2200);
    expect(await first).toMatchObject({ ok: false, error: { kind: "closed" } });
    const searches = bench.fake.count("search");
    expect(await mapper.map(WISH, HELD, bench.signal)).toMatchObject({ ok: false, error: { kind: "closed" } });
    expect(bench.fake.count("search")).toBe(searches);
    bench.nowMs += 5000;
    bench.fake.faults.silentSearch = false;
    await bench.fake.listen();
    const third = mapper.map(WISH, HELD, bench.signal);
    await timers.fire(300);
    expect((await third).ok).toBe(true);
  });
});

describe("announcements that do not count", () => {
  test("of another host: a gateway is told of, a television is not", async () => {
    await using bench = await IgdBench.start();
    const other = await bench.add({ address: "127.0.0.2" });
    const forgotten = new Forgotten(await searched(bench));
    await listening(bench);
    other.say(
      Buffer.from(
        "NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUSN: uuid:tv::upnp:rootdevice\r\n\r\n",
      ),
    );
    other.reboot({ bootId: 99 });
    await bench.hasIgnored("other-announcement 127.0.0.2 1");
    bench.fake.reboot();
    await forgotten.times(1);
    expect(forgotten.count).toBe(1);
    expect(bench.ignored.filter((text) => text.startsWith("other-announcement"))).toHaveLength(1);
  });

  test("of the router's media server", async () => {
    await using bench = await IgdBench.start();
    const forgotten = new Forgotten(await searched(bench));
    await listening(bench);
    const media = (nts: string) =>
      `NOTIFY * HTTP/1.1\r\nNT: urn:schemas-upnp-org:device:MediaServer:1\r\nNTS: ${nts}\r\nUSN: uuid:media::x\r\nBOOTID.UPNP.ORG: 99\r\n\r\n`;
    bench.fake.say(Buffer.from(media("ssdp:byebye")));
    bench.fake.say(Buffer.from(media("ssdp:alive")));
    bench.fake.say(Buffer.from("M-SEARCH * HTTP/1.1\r\n\r\n"));
    bench.fake.reboot();
    await forgotten.times(1);
    expect(forgotten.count).toBe(1);
  });

  test("a description at another host is not gone to", async () => {
    await using bench = await IgdBench.start();
    const other = await bench.add({ address: "127.0.0.2" });
    const mapper = await searched(bench);
    new Forgotten(mapper);
    await listening(bench);
    bench.fake.announce("alive", FAKE_UUID, other.location());
    await bench.hasIgnored(`location-elsewhere ${other.location()} 1`);
    await bench.fake.stopHttp();
    await bench.fake.listen();
    expect((await mapper.map(WISH, HELD, bench.signal)).ok).toBe(true);
    expect(other.count("description")).toBe(0);
  });
});

describe("listeners", () => {
  test("one ear for all of them, and none without", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    const [first, second] = [new Forgotten(mapper), new Forgotten(mapper)];
    await listening(bench);
    bench.fake.reboot();
    await Promise.all([first.times(1), second.times(1)]);
    first.stop();
    bench.fake.reboot();
    await second.times(2);
    expect(first.count).toBe(1);
    second.stop();
    second.stop();
    const third = new Forgotten(mapper);
    bench.fake.counts.clear();
    bench.nowMs += 60_000;
    await listening(bench);
    bench.fake.reboot();
    await third.times(1);
    expect([first.count, second.count]).toEqual([1, 2]);
  });

  test("after the end nothing is heard, and nothing asked", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    new Forgotten(mapper);
    await listening(bench);
    mapper.close();
    mapper.close();
    const { size } = bench.fake.counts;
    expect(await mapper.map(WISH, null, bench.signal)).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining("called off") },
    });
    const stop = mapper.onForgot(() => {
      throw new Error("told after the end");
    });
    bench.fake.reboot();
    stop();
    expect(bench.fake.counts.size).toBe(size);
  });

  test("a port that another program keeps to itself: that is told, and all else goes on", async () => {
    await using bench = await IgdBench.start();
    const mapper = await searched(bench);
    const blocked = createSocket("udp4");
    const bound = Promise.withResolvers<void>();
    blocked.bind(0, "0.0.0.0", () => bound.resolve());
    await bound.promise;
    const deaf = await bench.mapper({ ports: { ssdp: blocked.address().port } });
    deaf.onForgot(() => {});
    expect(await bench.deaf.promise).toMatch(/is not heard on port .*renewal\.$/);
    expect((await mapper.map(WISH, null, bench.signal)).ok).toBe(true);
    blocked.close();
  });
});

test("a call that is called off ends at once, and the next one is asked", async () => {
  await using bench = await IgdBench.start();
  const mapper = await bench.mapper();
  bench.fake.faults.hangsOn = "AddPortMapping";
  const calling = new AbortController();
  const mapping = mapper.map(WISH, null, calling.signal);
  const waiting = mapper.externalAddress(bench.signal);
  const waitingToo = mapper.map(WISH, null, calling.signal);
  await bench.fake.counted("AddPortMapping");
  calling.abort();
  for (const one of [mapping, waitingToo]) {
    expect(await one).toMatchObject({
      ok: false,
      error: { kind: "silent", message: expect.stringContaining("called off") },
    });
  }
  expect(await waiting).toEqual({ ok: true, value: "11.22.33.44" });
});
