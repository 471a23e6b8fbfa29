import { expect, test } from "bun:test";
import { ServerEpoch } from "../../core/mapping/epoch.ts";
import { Announcer } from "./announcer.ts";

test("announces at once, again after 250 ms, and from the start after a reset; never once it is closed", async () => {
  const clock = { nowMs: 1_000 };
  const epoch = ServerEpoch.lost(clock.nowMs);
  const sent: number[] = [];
  const announcer = new Announcer({ epoch, nowMs: () => clock.nowMs, announce: () => sent.push(clock.nowMs) });
  announcer.wake();
  announcer.wake();
  expect(sent).toEqual([1_000]);
  clock.nowMs += 250;
  announcer.wake();
  clock.nowMs += 250;
  announcer.wake();
  expect(sent).toEqual([1_000, 1_250]);
  epoch.reset(clock.nowMs);
  announcer.wake();
  expect(sent).toEqual([1_000, 1_250, 1_500]);
  announcer.close();
  clock.nowMs += 1_000_000;
  announcer.wake();
  expect(sent).toHaveLength(3);
});

test("its own timer sends the ten of a start", async () => {
  // A clock that jumps to each deadline: all ten are due at once.
  const clock = { nowMs: 0 };
  const epoch = ServerEpoch.lost(0);
  const { promise, resolve } = Promise.withResolvers<void>();
  const sent: number[] = [];
  const announcer = new Announcer({
    epoch,
    nowMs: () => {
      clock.nowMs = Math.max(clock.nowMs, epoch.nextDeadlineMs() ?? 0);
      return clock.nowMs;
    },
    announce() {
      sent.push(clock.nowMs);
      if (epoch.nextDeadlineMs() === null) resolve();
    },
  });
  announcer.wake();
  await promise;
  announcer.close();
  expect(sent).toEqual([0, 250, 750, 1_750, 3_750, 7_750, 15_750, 31_750, 63_750, 127_750]);
});
