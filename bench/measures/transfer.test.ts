import { describe, expect, test } from "bun:test";
import { type IperfReport, neverBegan, repeatsOf, transfer } from "./transfer.ts";

const WHERE = ["192.0.2.1", 1] as const;
const STREAM = { socket: 5 };
const RESET = "unable to receive control message: Connection reset by peer";
const BUSY = "the server is busy running a test. try again later";
const GOOD: IperfReport = {
  start: { connected: [STREAM] },
  end: { sum_received: { bits_per_second: 2e9, bytes: 1_000, seconds: 1 } },
};

describe("whether a transfer never began", () => {
  const cases: readonly [string, IperfReport, boolean][] = [
    ["its server has another", { start: { connected: [] }, error: BUSY }, true],
    ["its server makes a new listener", { start: { connected: [] }, error: RESET }, true],
    ["reached without a forward meanwhile", { error: "unable to connect to server: Connection refused" }, true],
    ["reset when a stream was there: a defect", { start: { connected: [STREAM] }, error: RESET }, false],
    ["another failure", { start: { connected: [] }, error: "unable to connect to server: No route to host" }, false],
    ["it was taken", GOOD, false],
  ];
  for (const [name, report, expected] of cases) test(name, () => expect(neverBegan(report)).toBe(expected));
});

describe("a transfer", () => {
  const answering = (...reports: IperfReport[]) => ({ visit: async () => JSON.stringify(reports.shift()) });

  test("that its server does not take is asked for again, and that is counted", async () => {
    const site = answering({ start: { connected: [] }, error: RESET }, GOOD);
    const moved = await transfer(site, WHERE, 1, [], async () => {});
    expect(moved).toMatchObject({ gbitPerSec: 2, repeats: 1 });
    expect(repeatsOf([moved, moved])).toEqual({ repeats: 2 });
  });

  test("that is taken at once has nothing to tell", async () => {
    expect(repeatsOf([await transfer(answering(GOOD), WHERE, 1)])).toEqual({});
  });

  test("that breaks is not asked for again", async () => {
    const site = answering({ start: { connected: [STREAM] }, error: RESET }, GOOD);
    await expect(transfer(site, WHERE, 1)).rejects.toThrow(`iperf3: ${RESET}`);
  });
});
