import { describe, expect, test } from "bun:test";
import { newRandom } from "../../../test/fuzz/random.ts";
import type { PingPath } from "./model.ts";
import { PingSchedule, type ProbeId, type ScheduleSettings } from "./schedule.ts";

const BOTH: readonly PingPath[] = ["direct", "forwarded"];
const SETTINGS: ScheduleSettings = { paths: BOTH, count: 10, intervalMs: 200, timeoutMs: 2_000 };

interface Sent extends ProbeId {
  readonly atMs: number;
}

/** Runs a schedule to its end: each probe is answered after what `answerMs` says, or never (null). */
function run(settings: ScheduleSettings, answerMs: (probe: ProbeId) => number | null, seed = 1) {
  const schedule = new PingSchedule(settings, 0, seededRandom(seed));
  const sent: Sent[] = [];
  const expired: Sent[] = [];
  const answers: Sent[] = [];
  let most = 0;
  let outstanding = 0;
  for (let nowMs = 0, turns = 0; !schedule.done; turns++) {
    if (turns > 100_000) throw new Error("the schedule does not end");
    const answer = answers[0];
    const deadlineMs = schedule.nextDeadlineMs() ?? Number.POSITIVE_INFINITY;
    if (answer !== undefined && answer.atMs < deadlineMs) {
      nowMs = answer.atMs;
      answers.shift();
      if (schedule.settled(answer)) outstanding--;
    } else nowMs = deadlineMs;
    for (const { kind, probe } of schedule.due(nowMs)) {
      if (kind === "expire") {
        expired.push({ ...probe, atMs: nowMs });
        outstanding--;
        continue;
      }
      sent.push({ ...probe, atMs: nowMs });
      most = Math.max(most, ++outstanding);
      const after = answerMs(probe);
      if (after !== null) answers.push({ ...probe, atMs: nowMs + after });
      answers.sort((a, b) => a.atMs - b.atMs);
    }
  }
  return { sent, expired, most };
}

function seededRandom(seed: number): () => number {
  const random = newRandom(seed);
  return () => random.below(2 ** 30) / 2 ** 30;
}

describe("probes", () => {
  test("of every path are sent, each once, in turns", () => {
    const { sent, expired } = run(SETTINGS, () => 5);
    expect(expired).toEqual([]);
    expect(sent).toHaveLength(20);
    for (let round = 0; round < 10; round++) {
      const pair = sent.slice(2 * round, 2 * round + 2);
      expect(pair.map(({ seq }) => seq)).toEqual([round, round]);
      expect(pair.map(({ path }) => path).toSorted()).toEqual(["direct", "forwarded"]);
    }
  });

  test("of the same path are an interval apart on average, and the run takes its time", () => {
    const { sent } = run({ ...SETTINGS, count: 500 }, () => 5);
    const direct = sent.filter(({ path }) => path === "direct");
    const meanGapMs = (direct.at(-1)!.atMs - direct[0]!.atMs) / (direct.length - 1);
    expect(meanGapMs).toBeGreaterThan(199);
    expect(meanGapMs).toBeLessThan(201);
  });

  test("are not in step: at no phase of any period do they gather", () => {
    const { sent } = run({ ...SETTINGS, count: 500 }, () => 5);
    for (const periodMs of [10, 50, 100, 200]) {
      const phases = sent.filter(({ path }) => path === "forwarded").map(({ atMs }) => (atMs % periodMs) / periodMs);
      for (let tenth = 0; tenth < 10; tenth++) {
        const share = phases.filter((phase) => Math.floor(phase * 10) === tenth).length / phases.length;
        expect({ periodMs, tenth, gathered: share > 0.25 }).toEqual({ periodMs, tenth, gathered: false });
      }
    }
  });

  test("neither path is always the first of its round", () => {
    const { sent } = run({ ...SETTINGS, count: 200 }, () => 5);
    const firsts = sent.filter((_, at) => at % 2 === 0).filter(({ path }) => path === "direct").length;
    expect(firsts).toBeGreaterThan(70);
    expect(firsts).toBeLessThan(130);
  });

  test("of both paths keep a distance", () => {
    const { sent } = run({ ...SETTINGS, count: 500 }, () => 5);
    const gaps = sent.slice(1).map(({ atMs }, at) => atMs - sent[at]!.atMs);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(25 - 1e-6);
  });

  test("of one path alone go on by themselves", () => {
    const { sent } = run({ ...SETTINGS, paths: ["direct"], count: 3 }, () => 5);
    expect(sent.map(({ path, seq }) => [path, seq])).toEqual([
      ["direct", 0],
      ["direct", 1],
      ["direct", 2],
    ]);
  });

  test("with the same chance go the same way", () => {
    expect(run(SETTINGS, () => 5, 7)).toEqual(run(SETTINGS, () => 5, 7));
  });
});

describe("a probe without an answer", () => {
  test("expires after its time, and the others go on meanwhile", () => {
    const { sent, expired } = run(SETTINGS, ({ path }) => (path === "direct" ? null : 5));
    expect(expired.map(({ path, seq }) => [path, seq])).toEqual(
      sent.filter(({ path }) => path === "direct").map(({ path, seq }) => [path, seq]),
    );
    for (const probe of expired) {
      const sentMs = sent.find(({ path, seq }) => path === probe.path && seq === probe.seq)!.atMs;
      expect(probe.atMs - sentMs).toBeCloseTo(2_000, 6);
    }
    expect(sent.at(-1)!.atMs).toBeLessThan(2_100);
  });

  test("that is answered too late has expired", () => {
    const schedule = new PingSchedule({ ...SETTINGS, paths: ["direct"], count: 1 }, 0, () => 0);
    expect(schedule.due(0)).toEqual([{ kind: "send", probe: { path: "direct", seq: 0 } }]);
    expect(schedule.nextDeadlineMs()).toBe(2_000);
    expect(schedule.due(1_999)).toEqual([]);
    expect(schedule.done).toBe(false);
    expect(schedule.due(2_000)).toEqual([{ kind: "expire", probe: { path: "direct", seq: 0 } }]);
    expect(schedule.settled({ path: "direct", seq: 0 })).toBe(false);
    expect(schedule.done).toBe(true);
    expect(schedule.nextDeadlineMs()).toBeNull();
  });

  test("holds no more than 64 at a time, and all are sent in the end", () => {
    const { sent, most } = run({ ...SETTINGS, count: 200, intervalMs: 10, timeoutMs: 10_000 }, () => null);
    expect(most).toBe(64);
    expect(sent).toHaveLength(400);
  });
});
