import { describe, expect, test } from "bun:test";
import type { Network } from "./gateways.ts";
import { NetworkWatch } from "./network-watch.ts";

const network = (address: string): Network => ({
  gateways: [{ family: 4, address, interfaceName: "eth0", ownAddress: "192.168.1.20", metric: 0 }],
  pointToPoint: [],
});
const HOME = network("192.168.1.1");
const CAFE = network("10.0.0.1");
const WALL = 1_700_000_000_000;
/** Both clocks, `sleptMs` of which the monotonic one does not know. */
const at = (nowMs: number, sleptMs = 0) => ({ nowMs, wallMs: WALL + nowMs + sleptMs });
const LOOK = [{ kind: "look" as const }];
const watchHome = (lookEveryMs?: number) => new NetworkWatch(HOME, "a", at(0), lookEveryMs);

describe("when it looks", () => {
  test("each five seconds, and one look at a time", () => {
    const watch = watchHome();
    expect(watch.onTick("a", at(1_000))).toEqual([]);
    expect(watch.onTick("a", at(4_999))).toEqual([]);
    expect(watch.onTick("a", at(5_000))).toEqual(LOOK);
    expect(watch.onTick("a", at(10_000))).toEqual([]);
    watch.onSeen(HOME, 10_500);
    expect(watch.onTick("a", at(15_000))).toEqual([]);
    expect(watch.onTick("a", at(15_500))).toEqual(LOOK);
  });
  test("at once when the addresses differ, also where looks are rare", () => {
    const watch = watchHome(30_000);
    expect(watch.onTick("a", at(5_000))).toEqual([]);
    expect(watch.onTick("b", at(6_000))).toEqual(LOOK);
    watch.onSeen(HOME, 6_100);
    expect(watch.onTick("b", at(7_000))).toEqual([]);
    expect(watch.onTick("a", at(8_000))).toEqual(LOOK);
  });
});

describe("what is news", () => {
  test("another router, once", () => {
    const watch = watchHome();
    expect(watch.onSeen(network("192.168.1.1"), 5_000)).toEqual([]);
    expect(watch.onSeen(CAFE, 10_000)).toEqual([{ kind: "tell", news: { why: "changed", network: CAFE } }]);
    expect(watch.onSeen(CAFE, 15_000)).toEqual([]);
  });
  test("a VPN that comes up", () => {
    const watch = watchHome();
    const withVpn = { ...HOME, pointToPoint: [{ family: 4 as const, interfaceName: "wg0", metric: 0 }] };
    expect(watch.onSeen(withVpn, 5_000)).toHaveLength(1);
  });
  test("what else the reader says is not", () => {
    expect(watchHome().onSeen({ ...HOME, problem: "netstat failed." } as Network, 5_000)).toEqual([]);
  });
});

describe("sleep", () => {
  test("the clock of day ran on: it looks at once, and tells even if nothing changed", () => {
    const watch = watchHome();
    expect(watch.onTick("a", at(1_000, 3_600_000))).toEqual(LOOK);
    expect(watch.onSeen(HOME, 1_100)).toEqual([
      { kind: "tell", news: { why: "woke", network: HOME, sleptMs: 3_600_000 } },
    ]);
    expect(watch.onTick("a", at(2_000, 3_600_000))).toEqual([]);
    expect(watch.onSeen(HOME, 2_100)).toEqual([]);
  });
  test("where the monotonic clock runs on as well, a tick is late", () => {
    const watch = watchHome();
    expect(watch.onTick("a", at(60_000))).toEqual(LOOK);
    expect(watch.onSeen(CAFE, 60_100)).toEqual([{ kind: "tell", news: { why: "woke", network: CAFE, sleptMs: 0 } }]);
  });
  test("twice before a look ended: both count", () => {
    const watch = watchHome();
    expect(watch.onTick("a", at(1_000, 10_000))).toEqual(LOOK);
    expect(watch.onTick("a", at(2_000, 30_000))).toEqual([]);
    expect(watch.onSeen(HOME, 2_100)).toMatchObject([{ news: { sleptMs: 30_000 } }]);
  });
  test("an adjusted clock is no sleep, nor one that is set back", () => {
    const watch = watchHome();
    expect(watch.onTick("a", at(1_000, 1_500))).toEqual([]);
    expect(watch.onTick("a", at(2_000, -7_200_000))).toEqual([]);
  });
});
