import { describe, expect, test } from "bun:test";
import { ServerEpoch } from "./epoch.ts";
import { EpochWatch } from "./epoch-watch.ts";

/** Every announcement from now on, with a driver that wakes `lateMs` after each deadline: [time, epoch]. */
function announcements(epoch: ServerEpoch, lateMs = 0): [number, number][] {
  const sent: [number, number][] = [];
  for (let next = epoch.nextDeadlineMs(); next !== null; next = epoch.nextDeadlineMs()) {
    const nowMs = next + lateMs;
    expect(epoch.takeAnnouncement(next - 1)).toBe(false);
    expect(epoch.takeAnnouncement(nowMs)).toBe(true);
    sent.push([nowMs, epoch.epochSec(nowMs)]);
  }
  return sent;
}

describe("the epoch counts", () => {
  test("whole seconds since the table was made", () => {
    const epoch = ServerEpoch.lost(10_000);
    expect([10_000, 10_999, 11_000, 3_610_000].map((nowMs) => epoch.epochSec(nowMs))).toEqual([0, 0, 1, 3600]);
  });
  test("never below zero, nor over its field", () => {
    const epoch = ServerEpoch.lost(10_000);
    expect(epoch.epochSec(0)).toBe(0);
    expect(epoch.epochSec(1e16)).toBe(0xffff_ffff);
  });
  test("from zero again when the mappings are lost or the external address changes", () => {
    const epoch = ServerEpoch.lost(0);
    epoch.reset(60_000);
    expect(epoch.epochSec(61_500)).toBe(1);
  });
});

describe("a restored epoch", () => {
  const saved = ServerEpoch.lost(1000).save(101_000, 5_000_000);
  test("was saved with its age", () => expect(saved).toEqual({ ageMs: 100_000, savedAtUnixMs: 5_000_000 }));
  test("goes on, the time away included, on another monotonic clock", () => {
    expect(ServerEpoch.restored(saved, 7, 5_030_000).epochSec(1007)).toBe(131);
  });
  test("goes on from what it was when the wall clock was set back", () => {
    expect(ServerEpoch.restored(saved, 7, 1_400_000).epochSec(1007)).toBe(101);
  });
  test("is announced as well, and no client takes it for a loss", () => {
    for (const protocol of ["natPmp", "pcp"] as const) {
      const watch = new EpochWatch(protocol);
      watch.lostBy(100, 0);
      const sent = announcements(ServerEpoch.restored(saved, 30_000, 5_030_000));
      expect(sent.map(([nowMs, epochSec]) => watch.lostBy(epochSec, nowMs))).toEqual(Array<boolean>(10).fill(false));
    }
  });
  test("is no loss to a client that saw it before", () => {
    for (const protocol of ["natPmp", "pcp"] as const) {
      const watch = new EpochWatch(protocol);
      watch.lostBy(100, 50_000);
      expect(watch.lostBy(ServerEpoch.restored(saved, 7, 8_600_000).epochSec(7), 50_000 + 3_600_000)).toBe(false);
    }
  });
});

describe("a new epoch is announced", () => {
  test("ten times, doubling from 250 ms, each with the epoch of its moment", () => {
    expect(announcements(ServerEpoch.lost(1000))).toEqual([
      [1000, 0],
      [1250, 0],
      [1750, 0],
      [2750, 1],
      [4750, 3],
      [8750, 7],
      [16_750, 15],
      [32_750, 31],
      [64_750, 63],
      [128_750, 127],
    ]);
  });
  test("with waits that at least double when the timer is late", () => {
    const times = announcements(ServerEpoch.lost(0), 40).map(([nowMs]) => nowMs);
    const waits = times.slice(1).map((nowMs, n) => nowMs - times[n]!);
    expect(waits.map((wait) => wait - 40)).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000]);
  });
  test("from the start again when it is lost again", () => {
    const epoch = ServerEpoch.lost(0);
    for (const nowMs of [0, 250, 750]) expect(epoch.takeAnnouncement(nowMs)).toBe(true);
    epoch.reset(800);
    expect(
      announcements(epoch)
        .map(([nowMs]) => nowMs)
        .slice(0, 3),
    ).toEqual([800, 1050, 1550]);
  });
  test("so that a client believes every one of them after the first", () => {
    for (const protocol of ["natPmp", "pcp"] as const) {
      const watch = new EpochWatch(protocol);
      watch.lostBy(5000, 0);
      const lost = announcements(ServerEpoch.lost(1000)).map(([nowMs, epochSec]) => watch.lostBy(epochSec, nowMs));
      expect(lost).toEqual([true, ...Array<boolean>(9).fill(false)]);
    }
  });
});
