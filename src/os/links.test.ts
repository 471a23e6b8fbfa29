import { describe, expect, test } from "bun:test";
import { err, ok } from "../wire/result.ts";
import type { Follow, Run } from "./command.ts";
import { externalIpv4, findLink, type Link, readLinks, watchLinks } from "./links.ts";

/** What iproute2 6.1 prints, shortened. */
const ADDRESSES = JSON.stringify([
  {
    ifname: "lo",
    flags: ["LOOPBACK", "UP", "LOWER_UP"],
    addr_info: [
      { family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host" },
      { family: "inet6", local: "::1", prefixlen: 128, scope: "host" },
    ],
  },
  {
    ifname: "wan",
    flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    addr_info: [
      { family: "inet", local: "203.0.113.20", prefixlen: 24, scope: "global" },
      { family: "inet6", local: "2001:db8:113::20", prefixlen: 64, scope: "global", temporary: true },
      { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link" },
    ],
  },
  { ifname: "br-lan", flags: ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"], addr_info: [] },
  {
    ifname: "wg0",
    flags: ["POINTOPOINT", "NOARP"],
    addr_info: [{ family: "inet", local: "10.66.0.1", prefixlen: 24, scope: "global" }],
  },
]);
const answering =
  (answers: Record<string, string>): Run =>
  async (argv) => {
    const stdout = answers[argv.slice(1).join(" ")];
    return ok(
      stdout === undefined ? { exitCode: 1, stdout: "", stderr: "Cannot" } : { exitCode: 0, stdout, stderr: "" },
    );
  };
const V4 = "-j -4 route show default";
const V6 = "-j -6 route show default";

describe("what ip says", () => {
  test("interfaces with and without addresses, up and down", async () => {
    const routes = [
      { dst: "default", gateway: "192.0.2.1", dev: "wg0", metric: 600 },
      { dst: "default", gateway: "203.0.113.1", dev: "wan", metric: 100 },
      { dst: "default", gateway: "203.0.113.1", dev: "lo", metric: 1, flags: ["dead", "linkdown"] },
    ];
    const result = await readLinks(answering({ "-j address": ADDRESSES, [V4]: JSON.stringify(routes), [V6]: "" }));
    if (!result.ok) throw new Error(result.error.message);
    expect(result.value.defaultRoute).toEqual({ v4: "wan", v6: null });
    expect(result.value.links.map(({ name, up }) => `${name} ${up}`)).toEqual([
      "lo true",
      "wan true",
      "br-lan false",
      "wg0 false",
    ]);
    expect(result.value.links[1]?.addresses).toEqual([
      { address: "203.0.113.20", family: 4, prefixLength: 24, scope: "global", passing: false },
      { address: "2001:db8:113::20", family: 6, prefixLength: 64, scope: "global", passing: true },
      { address: "fe80::1", family: 6, prefixLength: 64, scope: "link", passing: false },
    ]);
    expect(findLink(result.value, "br-lan")).toMatchObject({ ok: true, value: { addresses: [] } });
    expect(findLink(result.value, "eth0")).toEqual(
      err('There is no interface "eth0"; this machine has lo, wan, br-lan, and wg0.'),
    );
  });

  test("a default route over several ways is its first", async () => {
    const routes = JSON.stringify([{ dst: "default", nexthops: [{ dev: "wan2" }, { dev: "wan" }] }]);
    const result = await readLinks(answering({ "-j address": "[]", [V4]: "[]", [V6]: routes }));
    expect(result).toMatchObject({ value: { links: [], defaultRoute: { v4: null, v6: "wan2" } } });
  });

  test("failures are values with a sentence", async () => {
    expect(await readLinks(answering({}))).toMatchObject({ error: { message: expect.stringContaining('"Cannot"') } });
    expect(await readLinks(answering({ "-j address": "Usage" }))).toMatchObject({ ok: false });
    const missing = err({ kind: "missing", message: "Install ip." } as const);
    expect(await readLinks(async () => missing)).toEqual(missing);
  });
});

describe("the external address", () => {
  const link = (address: string | null): Link => ({
    name: "wan",
    up: true,
    addresses: address === null ? [] : [{ address, family: 4, prefixLength: 24, scope: "global", passing: false }],
  });
  const cases: readonly [string, string | null, string | null][] = [
    ["public", "198.41.0.4", null],
    ["none", null, "no IPv4 address"],
    ["CGNAT", "100.64.3.4", "forwards only work from inside the provider's network"],
    ["CGNAT's end", "100.127.255.255", "forwards only work from inside the provider's network"],
    ["beside CGNAT", "100.128.0.1", null],
    ["private", "192.168.1.2", "a private one: forwards only work from that network"],
    ["documentation", "203.0.113.20", "does not route"],
  ];
  test.each(cases)("%s", (_, address, part) => {
    const external = externalIpv4(link(address));
    expect(external.address).toBe(address);
    if (part === null) expect(external.warning).toBeNull();
    else expect(external.warning).toContain(part);
  });
});

describe("the watcher", () => {
  /** Timers that fire when the test says so, and an `ip monitor` that says and ends what the test wants. */
  function lab(startError?: "missing") {
    const timers = new Map<() => void, number>();
    const monitors: { say(line: string): void; end(): void }[] = [];
    const abort = new AbortController();
    let changes = 0;
    const follow: Follow = (argv, { signal, onLine }) => {
      expect(argv).toEqual(["ip", "monitor", "address", "link", "route"]);
      if (startError !== undefined) return err({ kind: startError, message: "Install ip." });
      const { promise, resolve } = Promise.withResolvers<number>();
      signal.addEventListener("abort", () => resolve(137));
      monitors.push({ say: onLine, end: () => resolve(1) });
      return ok({ exited: promise });
    };
    const ended = watchLinks({
      follow,
      onChange: () => {
        changes++;
      },
      signal: abort.signal,
      after(ms, act) {
        timers.set(act, ms);
        return () => timers.delete(act);
      },
    });
    /** Fires all that wait, and says how long each was to wait. */
    const fire = (): number[] => {
      const due = [...timers];
      timers.clear();
      for (const [act] of due) act();
      return due.map(([, ms]) => ms);
    };
    return { monitors, abort, ended, fire, timers, changes: () => changes };
  }
  /** What follows an ended process runs in microtasks. */
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("many lines are one change, and a start is one", async () => {
    const { monitors, abort, ended, fire, changes } = lab();
    expect(fire()).toEqual([100]);
    expect(changes()).toBe(1);
    for (let n = 0; n < 12; n++) monitors[0]?.say("4: br0");
    expect(fire()).toEqual([100]);
    expect(changes()).toBe(2);
    expect(fire()).toEqual([]);
    abort.abort();
    expect(await ended).toEqual(ok(null));
  });

  test("one that ends is started again, later each time until one works", async () => {
    const { monitors, abort, ended, fire } = lab();
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      fire();
      monitors.at(-1)?.end();
      await settled();
      waits.push(...fire().filter((ms) => ms !== 100));
      await settled();
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    monitors.at(-1)?.say("line");
    monitors.at(-1)?.end();
    await settled();
    expect(fire()).toContain(250);
    abort.abort();
    expect(await ended).toEqual(ok(null));
  });

  test("ends on the signal while it waits, and tells nothing after it", async () => {
    const { monitors, abort, ended, fire, timers, changes } = lab();
    fire();
    monitors[0]?.say("line");
    monitors[0]?.end();
    await settled();
    abort.abort();
    expect(await ended).toEqual(ok(null));
    expect(timers.size).toBe(0);
    expect(changes()).toBe(1);
  });

  test("without the program it ends at once", async () => {
    expect(await lab("missing").ended).toEqual(err({ kind: "missing", message: "Install ip." }));
  });
});
