import { describe, expect, test } from "bun:test";
import { Liveness } from "./liveness.ts";

/** Drives `tick` each second as a session does, until it says dead; returns when, and the pings it sent. */
function silentFrom(liveness: Liveness, fromMs: number, untilMs: number): { deadMs: number | null; pingsMs: number[] } {
  const pingsMs: number[] = [];
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 1000) {
    const action = liveness.tick(nowMs);
    if (action === "dead") return { deadMs: nowMs, pingsMs };
    if (action === "ping") {
      pingsMs.push(nowMs);
      liveness.pinged(nowMs);
    }
  }
  return { deadMs: null, pingsMs };
}

describe("a carrier", () => {
  test("that is silent is pinged twice and dead after three heartbeats", () => {
    expect(silentFrom(new Liveness(0), 1000, 60_000)).toEqual({ deadMs: 30_000, pingsMs: [10_000, 20_000] });
  });

  test("that answers lives for ever, pinged each 10 s", () => {
    const liveness = new Liveness(0);
    let pings = 0;
    for (let nowMs = 1000; nowMs <= 3_600_000; nowMs += 1000) {
      const action = liveness.tick(nowMs);
      expect(action).not.toBe("dead");
      if (action !== "ping") continue;
      pings++;
      liveness.pinged(nowMs);
      liveness.pong(nowMs, nowMs + 30);
      liveness.heard(nowMs + 30);
    }
    expect(pings).toBe(360);
    expect(liveness.rttMs).toBeCloseTo(30);
  });

  test("that sends data lives without a pong", () => {
    const liveness = new Liveness(0);
    for (let nowMs = 0; nowMs < 200_000; nowMs += 1000) {
      liveness.heard(nowMs);
      const action = liveness.tick(nowMs);
      expect(action).not.toBe("dead");
      if (action === "ping") liveness.pinged(nowMs);
    }
  });

  test("whose last words came late counts from then", () => {
    const liveness = new Liveness(0);
    silentFrom(liveness, 1000, 25_000);
    liveness.heard(25_500);
    expect(silentFrom(liveness, 26_000, 90_000).deadMs).toBe(60_000);
  });
});

describe("the clock jumps", () => {
  test("an hour ahead: it pings first, and the peer has two heartbeats to answer", () => {
    expect(silentFrom(new Liveness(0), 3_600_000, 3_700_000)).toEqual({
      deadMs: 3_620_000,
      pingsMs: [3_600_000, 3_610_000],
    });
  });

  test("an hour ahead after a ping, and the peer answers", () => {
    const liveness = new Liveness(0);
    silentFrom(liveness, 1000, 10_000);
    expect(liveness.tick(3_600_000)).toBe("ping");
    liveness.pinged(3_600_000);
    liveness.heard(3_600_050);
    expect(silentFrom(liveness, 3_601_000, 3_612_000).deadMs).toBeNull();
  });

  test("back: nothing happens until it is there again", () => {
    const liveness = new Liveness(100_000);
    expect(liveness.tick(5000)).toBe("none");
    liveness.heard(5000);
    expect(liveness.tick(100_500)).toBe("none");
    expect(liveness.tick(110_000)).toBe("ping");
  });
});

describe("round trip", () => {
  test("is smoothed as in RFC 6298", () => {
    const liveness = new Liveness(0);
    expect(liveness.rttMs).toBeNull();
    liveness.pinged(1000);
    liveness.pong(1000, 1080);
    liveness.pinged(2000);
    liveness.pong(2000, 2160);
    expect(liveness.rttMs).toBe(90);
  });

  for (const forged of [Number.NaN, Number.NEGATIVE_INFINITY, 0, 999, 1001, 1e308]) {
    test(`a PONG that claims ${forged} is ignored`, () => {
      const liveness = new Liveness(0);
      liveness.pinged(1000);
      liveness.pong(forged, 1010);
      expect(liveness.rttMs).toBeNull();
      liveness.pong(1000, 1010);
      liveness.pong(1000, 9000);
      expect(liveness.rttMs).toBe(10);
    });
  }
});

test("nextDeadlineMs is when tick speaks next", () => {
  const liveness = new Liveness(0);
  expect(liveness.nextDeadlineMs()).toBe(10_000);
  expect(liveness.tick(9_999)).toBe("none");
  expect(liveness.tick(10_000)).toBe("ping");
  liveness.pinged(10_000);
  expect(liveness.nextDeadlineMs()).toBe(20_000);
});
