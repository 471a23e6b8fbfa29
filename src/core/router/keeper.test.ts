import { describe, expect, test } from "bun:test";
import {
  agreeable,
  answering,
  failed,
  failure,
  granted,
  KeeperRun,
  portWish,
  type Reply,
  type RunOptions,
} from "./keeper.fixture.ts";
import type { KeeperEvent } from "./keeper-model.ts";
import type { RouterFailureKind } from "./model.ts";
import type { PortWish } from "./wish.ts";

const EXACT = portWish({ exact: true });
const PERMANENT = portWish({ lifetimeSec: null });
const OPEN = "203.0.113.5:25565";
/** Lines of the log. */
const ENDED = "The lease of port 25565/tcp ended.";

function run(reply: Reply, wish: PortWish = portWish(), options: RunOptions = {}): KeeperRun {
  return new KeeperRun(wish, reply, options);
}

/** The seconds at which something that begins so happened. */
function secondsOf(lines: readonly string[], what: string): number[] {
  return lines.filter((line) => line.split(" ")[1] === what).map((line) => Number(line.split(" ")[0]));
}

/** The largest random number there is. */
const MOST = () => 1 - Number.EPSILON;

describe("asks, holds and renews", () => {
  test("opens, renews at half the lease with the ticket, and tells each time", () => {
    const keeping = run(answering(granted(25565, { ticket: "a" }), granted(25565, { ticket: "b" })));
    expect(keeping.keeper.state).toEqual({ kind: "asking" });
    expect(keeping.until(4000).take()).toEqual([
      "0 ask 25565",
      `0 opened ${OPEN} to 3600`,
      "1800 renew 25565 a",
      `1800 renewed ${OPEN} to 5400`,
      "3600 renew 25565 b",
      `3600 renewed ${OPEN} to 7200`,
    ]);
    expect(keeping.keeper.state).toEqual({
      kind: "held",
      mapping: {
        externalAddress: "203.0.113.5",
        externalPort: 25565,
        internalAddress: "192.168.1.10",
        via: "pcp",
        sinceMs: 0,
        endsMs: 7_200_000,
      },
      renewAtMs: 5_400_000,
      why: null,
    });
  });

  const shares: [string, KeeperEvent, () => number, number[]][] = [
    // RFC 6887 §11.2.1.
    ["PCP, least jitter: 1/2, 3/4, 7/8, 15/16", granted(25565), () => 0, [1800, 2700, 3150, 3375]],
    ["PCP, most jitter: 5/8, 3/4 + 1/16, 7/8 + 1/32", granted(25565), MOST, [2250, 2925, 3262.5, 3431.25]],
    ["UPnP, most jitter", granted(25565, { via: "igd2" }), MOST, [2250, 2925, 3262.5, 3431.25]],
    // RFC 6886 §3.3.
    ["NAT-PMP: no jitter", granted(25565, { via: "nat-pmp" }), MOST, [1800, 2700, 3150, 3375]],
    ["a shorter lease than asked for", granted(25565, { lifetimeSec: 800 }), () => 0, [400, 600, 700, 750]],
    ["a longer lease than asked for", granted(25565, { lifetimeSec: 7200 }), () => 0, [3600, 5400, 6300, 6750]],
  ];
  test.each(shares)("renewals that fail, %s", (_, grant, random, expected) => {
    const lines = run(answering(grant, failed("silent")), portWish(), { random })
      .until(7200)
      .take();
    expect(secondsOf(lines, "renew").slice(0, 4)).toEqual(expected);
  });

  test("the last renewals of a lease are 4 s apart, and none is after its end", () => {
    const lines = run(answering(granted(25565, { lifetimeSec: 60 }), failed("silent")))
      .until(62)
      .take();
    expect(lines).toEqual([
      "0 ask 25565",
      `0 opened ${OPEN} to 60`,
      "30 renew 25565 t1",
      `30 failing ${OPEN} to 60: The router was silent.`,
      "45 renew 25565 t1",
      "52.5 renew 25565 t1",
      "56.5 renew 25565 t1",
      `60 lost: ${ENDED} The router was silent.`,
      "60 ask 25565",
      "61 ask 25565",
    ]);
  });

  test("a lease shorter than the spacing is lost and opened again, never flooded", () => {
    const lines = run(answering(granted(25565, { lifetimeSec: 3 })))
      .until(9)
      .take();
    expect(lines.slice(0, 5)).toEqual([
      "0 ask 25565",
      `0 opened ${OPEN} to 3`,
      `3 lost: ${ENDED} The router did not renew it in time.`,
      "3 ask 25565",
      `3 opened ${OPEN} to 6`,
    ]);
    expect(secondsOf(lines, "ask")).toEqual([0, 3, 6, 9]);
  });

  test("a renewal by another port or address tells what it was", () => {
    const keeping = run(
      answering(granted(25565), granted(40001), granted(40001, { externalAddress: "203.0.113.9" }), granted(40001)),
    );
    expect(
      keeping
        .until(5401)
        .take()
        .filter((line) => line.includes("changed")),
    ).toEqual([
      `1800 changed ${OPEN} to 3600 → 203.0.113.5:40001 to 5400`,
      "3600 changed 203.0.113.5:40001 to 5400 → 203.0.113.9:40001 to 7200",
      "5400 changed 203.0.113.9:40001 to 7200 → 203.0.113.5:40001 to 9000",
    ]);
  });

  test("an answer without an address keeps the one that is known; one that was seen is told", () => {
    const keeping = run(answering(granted(25565), granted(25565, { externalAddress: null }))).until(1801);
    expect(keeping.take().at(-1)).toBe(`1800 renewed ${OPEN} to 5400`);
    keeping.hear({ kind: "address-seen", address: "203.0.113.5" });
    keeping.hear({ kind: "address-seen", address: "203.0.113.77" });
    expect(keeping.take()).toEqual([`1801 changed ${OPEN} to 5400 → 203.0.113.77:25565 to 5400`]);
  });

  test("a grant of no time is none", () => {
    expect(
      run(answering(granted(25565, { lifetimeSec: 0 })))
        .until(0.5)
        .take(),
    ).toEqual(["0 ask 25565", "0 failing: The router opened the port for no time at all."]);
  });

  test("an answer that nobody waits for changes nothing", () => {
    const keeping = run(answering(granted(25565))).until(1);
    keeping.take();
    keeping.hear(granted(1)).hear(failed("conflict")).hear({ kind: "checked", holds: false });
    keeping.hear({ kind: "unmapped", failure: null });
    expect(keeping.take()).toEqual([]);
  });
});

describe("a port that is taken", () => {
  test("two near it, then others from 40000 on, at once and at most six; then the wished one in turn with another", () => {
    let drawn = 0;
    const random = () => (drawn++ % 7) / 10;
    const lines = run(answering(failed("conflict")), portWish(), { random })
      .until(120)
      .take();
    const asked = lines.filter((line) => line.includes(" ask ")).map((line) => Number(line.split(" ")[2]));
    expect(asked.slice(0, 3)).toEqual([25565, 25566, 25567]);
    const others = asked.slice(3, 7);
    expect(others.every((port) => port >= 40_000 && port <= 49_999)).toBe(true);
    expect(new Set(others).size).toBe(4);
    expect(secondsOf(lines, "ask").filter((sec) => sec === 0)).toHaveLength(7);
    expect(lines.filter((line) => line.includes("refused"))).toEqual(["0 refused: The router was conflict."]);
    const later = asked.slice(7);
    expect(later.filter((port) => port === 25565).length).toBeGreaterThan(0);
    expect(later.filter((port) => port !== 25565).length).toBeGreaterThan(0);
  });

  test("the next one that is free is opened, and stays the one that is asked for", () => {
    const keeping = run(answering(failed("conflict"), granted(25566), failed("silent"), granted(25566)));
    expect(keeping.until(2701).take()).toEqual([
      "0 ask 25565",
      "0 ask 25566",
      "0 opened 203.0.113.5:25566 to 3600",
      "1800 renew 25566 t1",
      "1800 failing 203.0.113.5:25566 to 3600: The router was silent.",
      "2700 renew 25566 t1",
      "2700 renewed 203.0.113.5:25566 to 6300",
    ]);
  });

  const near: [string, Partial<PortWish>, (port: number) => boolean, number][] = [
    ["below 1024 nothing near is tried", { externalPort: 80 }, () => true, 40_000],
    ["nor beyond the last port", { externalPort: 65_535 }, () => true, 40_000],
    ["ports of our own other mappings are left alone", {}, (port) => port !== 25566 && port !== 40_000, 40_001],
    ["whichever port was wanted", { externalPort: 0 }, () => true, 40_000],
    ["no port is free: whichever the router likes", {}, () => false, 0],
  ];
  test.each(near)("%s", (_, wish, isFree, expected) => {
    const keeping = run(answering(failed("conflict"), null), portWish(wish), { isFree }).until(0);
    expect(keeping.requests.at(-1)?.request).toMatchObject({ kind: "ask", externalPort: expected });
  });

  test("exact: refused, asked for slowly, and opened when the other's lease has ended", () => {
    const no = failed("conflict");
    const keeping = run(answering(no, no, no, granted(25565)), EXACT);
    expect(keeping.until(1).keeper.state).toEqual({ kind: "refused", why: failure("conflict"), atMs: 10_000 });
    expect(keeping.until(61).take()).toEqual([
      "0 ask 25565",
      "0 refused: The router was conflict.",
      "10 ask 25565",
      "30 ask 25565",
      "60 ask 25565",
      `60 opened ${OPEN} to 3660`,
    ]);
  });

  test("exact, and the router gives another one: it is given back, and refused", () => {
    const keeping = run(answering(granted(4000), granted(25565)), EXACT).until(11);
    expect(keeping.take()).toEqual([
      "0 ask 25565",
      "0 unmap 4000",
      "0 refused: The router gives port 4000/tcp instead of 25565: choose another port, or free that one in the router's settings.",
      "10 ask 25565",
      `10 opened ${OPEN} to 3610`,
    ]);
  });

  test("exact, and a renewal gives another one: lost, given back, asked for again", () => {
    const keeping = run(answering(granted(25565), granted(4000), granted(25565)), EXACT).until(1811);
    const moved =
      "The router gives port 4000/tcp instead of 25565: choose another port, or free that one in the router's settings.";
    expect(keeping.take().slice(2)).toEqual([
      "1800 renew 25565 t1",
      `1800 lost: ${moved}`,
      "1800 unmap 4000",
      "1810 ask 25565",
      `1810 opened ${OPEN} to 5410`,
    ]);
  });

  test("the other port is taken later: it is not asked for again at once", () => {
    const keeping = run(answering(failed("conflict"), granted(25566), failed("conflict"), granted(40_000))).until(1801);
    expect(keeping.take().slice(3)).toEqual([
      "1800 renew 25566 t1",
      "1800 lost: The router was conflict.",
      "1800 ask 40000",
      "1800 opened 203.0.113.5:40000 to 5400",
    ]);
  });

  test("the router gave it to another mapping of ours: lost, and another one is opened", () => {
    const keeping = run(answering(granted(25565), granted(25566))).until(100);
    expect(keeping.hear({ kind: "taken-over" }).take().slice(2)).toEqual([
      "100 lost: The router lost this mapping, and gave its port to another one of this machine.",
      "100 ask 25566",
      "100 opened 203.0.113.5:25566 to 3700",
    ]);
    // Nothing is open, or somebody is being asked: there is no news in it.
    const asking = run(answering(null)).until(1).hear({ kind: "taken-over" });
    expect(asking.take()).toEqual(["0 ask 25565"]);
    const renewing = run(answering(granted(25565), null))
      .until(1800)
      .hear({ kind: "taken-over" });
    expect(renewing.take().at(-1)).toBe("1800 renew 25565 t1");
  });

  test("a renewal that meets a conflict: the port is another's, so it is lost; another one is opened", () => {
    const keeping = run(answering(granted(25565), failed("conflict"), granted(25566))).until(1801);
    expect(keeping.take().slice(2)).toEqual([
      "1800 renew 25565 t1",
      "1800 lost: The router was conflict.",
      "1800 ask 25566",
      "1800 opened 203.0.113.5:25566 to 5400",
    ]);
  });
});

describe("failures of the first request", () => {
  const table: [RouterFailureKind, "retrying" | "refused", number[]][] = [
    ["silent", "retrying", [0, 1, 3, 7, 15, 31, 61, 91]],
    ["closed", "retrying", [0, 1, 3, 7, 15, 31, 61, 91]],
    ["garbled", "retrying", [0, 1, 3, 7, 15, 31, 61, 91]],
    ["exhausted", "retrying", [0, 1, 3, 7, 15, 31, 61, 91]],
    ["no-uplink", "retrying", [0, 1, 3, 7, 15, 31, 61, 91]],
    ["refused", "refused", [0, 10, 30, 60, 90]],
    ["unsupported", "refused", [0, 10, 30, 60, 90]],
  ];
  test.each(table)("%s: %s", (kind, state, seconds) => {
    const keeping = run(answering(failed(kind))).until(100);
    const lines = keeping.take();
    expect(secondsOf(lines, "ask")).toEqual(seconds);
    // Once, however often it fails.
    const word = state === "retrying" ? "failing" : "refused";
    expect(lines.filter((line) => line.includes(`${word}:`))).toEqual([`0 ${word}: The router was ${kind}.`]);
    expect(keeping.keeper.state).toMatchObject({ kind: state, why: failure(kind) });
  });

  test("a router that names a time is obeyed, up to five minutes", () => {
    const no = (retryAfterSec: number): KeeperEvent => ({
      kind: "failed",
      failure: { ...failure("refused"), retryAfterSec },
    });
    const lines = run(answering(no(100), no(1800), no(0)))
      .until(425)
      .take();
    expect(secondsOf(lines, "ask")).toEqual([0, 100, 400]);
  });

  test("the most jitter doubles the delays: 2 s to 60 s", () => {
    const lines = run(answering(failed("silent")), portWish(), { random: MOST })
      .until(200)
      .take();
    expect(secondsOf(lines, "ask").map(Math.round)).toEqual([0, 2, 6, 14, 30, 62, 122, 182]);
  });

  test("another kind of failure is told, and after an opening the same one again", () => {
    const keeping = run(
      answering(
        failed("silent"),
        failed("refused"),
        failed("silent"),
        granted(25565, { lifetimeSec: 8 }),
        failed("silent"),
      ),
    );
    const told = keeping
      .until(60)
      .take()
      .filter((line) => !line.includes(" ask ") && !line.includes("renew"));
    expect(told).toEqual([
      "0 failing: The router was silent.",
      "1 refused: The router was refused.",
      "11 failing: The router was silent.",
      `13 opened ${OPEN} to 21`,
      `17 failing ${OPEN} to 21: The router was silent.`,
      `21 lost: ${ENDED} The router was silent.`,
    ]);
  });

  test("when the router is back, what failed is asked for at once, and what was refused is not", () => {
    for (const [kind, seconds] of [
      ["silent", [0, 1, 3, 7, 15, 20]],
      ["refused", [0, 10]],
    ] as const) {
      const keeping = run(answering(failed(kind))).until(20);
      keeping.hear({ kind: "router-back" }).until(20);
      expect(secondsOf(keeping.take(), "ask")).toEqual([...seconds]);
    }
  });
});

test("a router that comes back while it is asked, and does not answer that, is asked again after a second", () => {
  const silent = failed("silent");
  const keeping = run(answering(silent, silent, silent, silent, silent, null, granted(25565))).until(31);
  keeping.take();
  keeping.hear({ kind: "router-back" }).hear(silent).until(33);
  expect(keeping.take()).toEqual(["32 ask 25565", `32 opened ${OPEN} to 3632`]);
});

describe("doubt", () => {
  test("the router forgot: the same port and ticket, at once", () => {
    const keeping = run(answering(granted(25565))).until(100);
    expect(keeping.hear({ kind: "forgot" }).take().slice(2)).toEqual([
      "100 renew 25565 t1",
      `100 renewed ${OPEN} to 3700`,
    ]);
  });

  test("not sooner than 4 s after the last answer", () => {
    const keeping = run(answering(granted(25565))).until(1);
    expect(keeping.hear({ kind: "forgot" }).until(5).take().slice(2)).toEqual([
      "4 renew 25565 t1",
      `4 renewed ${OPEN} to 3604`,
    ]);
  });

  test("the router forgot and does not give it again: lost, and asked for as new", () => {
    const keeping = run(answering(granted(25565), failed("silent"), granted(25565))).until(100);
    expect(keeping.hear({ kind: "forgot" }).until(102).take().slice(2)).toEqual([
      "100 renew 25565 t1",
      "100 lost: The router lost its mappings. The router was silent.",
      "101 ask 25565",
      `101 opened ${OPEN} to 3701`,
    ]);
  });

  test("while a request is under way it is the answer to that", () => {
    const keeping = run(answering(null)).until(1);
    keeping.hear({ kind: "forgot" }).hear({ kind: "resumed", sleptMs: 0 }).until(2);
    expect(keeping.hear(granted(25565)).until(100).take()).toEqual(["0 ask 25565", `2 opened ${OPEN} to 3602`]);
  });

  const hints: [string, KeeperEvent][] = [
    ["the network may have changed", { kind: "network-changed", change: "same" }],
    ["the machine slept", { kind: "resumed", sleptMs: 0 }],
  ];
  test.each(hints)(
    "%s: asked at once; without an answer from 4 s to 60 s later, and open until its lease ends",
    (_, event) => {
      const keeping = run(answering(granted(25565, { lifetimeSec: 200 }), failed("silent"))).until(10);
      keeping.take();
      const lines = keeping.hear(event).until(201).take();
      expect(secondsOf(lines, "renew")).toEqual([10, 14, 18, 22, 30, 46, 76, 106, 136, 166, 196]);
      expect(lines.slice(-2)).toEqual([`200 lost: ${ENDED} The router was silent.`, "200 ask 25565"]);
      expect(lines.filter((line) => line.includes("failing"))).toEqual([
        `10 failing ${OPEN} to 200: The router was silent.`,
      ]);
    },
  );

  test("a lease goes on while the machine sleeps", () => {
    const keeping = run(answering(granted(25565), granted(25565))).until(100);
    keeping.take();
    // Two of its minutes are left.
    const lines = keeping.hear({ kind: "resumed", sleptMs: 3_380_000 }).take();
    expect(lines).toEqual(["100 renew 25565 t1", `100 renewed ${OPEN} to 3700`]);
    const over = run(answering(granted(25565), null)).until(100);
    over.take();
    expect(over.hear({ kind: "resumed", sleptMs: 3_500_000 }).take()).toEqual([
      `100 lost: ${ENDED} The router did not renew it in time.`,
      "100 ask 25565",
    ]);
  });

  test("a permanent mapping is not asked for by the clock, and is told for good", () => {
    const keeping = run(answering(granted(25565, { lifetimeSec: null, via: "igd1" })), PERMANENT).until(100_000);
    expect(keeping.take()).toEqual(["0 ask 25565", `0 opened ${OPEN} for good`]);
    expect(keeping.keeper.nextDeadlineMs()).toBeNull();
  });

  test("a thousand mappings that were forgotten ask over 5 s", () => {
    const timesMs = Array.from({ length: 1000 }, (_, index) => {
      const keeping = run(answering(granted(25565)), portWish(), { random: () => index / 1000, crowd: 1000 }).until(
        100,
      );
      keeping.hear({ kind: "forgot" }).until(106);
      expect(keeping.requests.filter(({ request }) => request.kind === "ask")).toHaveLength(2);
      return keeping.requests.at(-1)?.atMs ?? 0;
    });
    const perSecond = [100, 101, 102, 103, 104].map(
      (second) => timesMs.filter((atMs) => Math.floor(atMs / 1000) === second).length,
    );
    expect(perSecond).toEqual([200, 200, 200, 200, 200]);
  });
});

describe("another network", () => {
  test("another router: asked as new with the same port, and changed when the address is another", () => {
    const keeping = run(answering(granted(25565), granted(25565, { externalAddress: "198.51.100.7" }))).until(100);
    keeping.take();
    expect(keeping.hear({ kind: "network-changed", change: "elsewhere" }).take()).toEqual([
      "100 ask 25565",
      `100 changed ${OPEN} to 3600 → 198.51.100.7:25565 to 3700`,
    ]);
  });

  test("another router that does not open it: lost", () => {
    const keeping = run(answering(granted(25565), failed("refused"))).until(100);
    keeping.take();
    expect(keeping.hear({ kind: "network-changed", change: "elsewhere" }).until(105).take()).toEqual([
      "100 ask 25565",
      "100 lost: This machine's network is another now. The router was refused.",
    ]);
    expect(keeping.keeper.state).toMatchObject({ kind: "refused" });
  });

  test("an answer of the router before is none", () => {
    const keeping = run(answering(null)).until(1);
    keeping.hear({ kind: "network-changed", change: "elsewhere" });
    expect(keeping.hear(granted(25565)).until(1.5).take()).toEqual(["0 ask 25565", "1 ask 25565"]);
    expect(keeping.hear(granted(25565)).take()).toEqual([`1.5 opened ${OPEN} to 3602`]);
  });

  test("the same router, another address of ours: what leads to the one before is taken away first", () => {
    const keeping = run(answering(granted(25565, { internalAddress: "192.168.1.9" }), granted(25565))).until(100);
    keeping.take();
    expect(keeping.hear({ kind: "network-changed", change: "moved" }).take()).toEqual([
      "100 unmap 25565 of 192.168.1.9",
      "100 ask 25565",
      `100 renewed ${OPEN} to 3700`,
    ]);
  });

  test("the same, while a request for the address before is under way", () => {
    const keeping = run(answering(null, granted(25565))).until(1);
    keeping.hear({ kind: "network-changed", change: "moved" });
    keeping.hear(granted(25565, { internalAddress: "192.168.1.9" }));
    expect(keeping.until(3).take()).toEqual([
      "0 ask 25565",
      "1 unmap 25565 of 192.168.1.9",
      "1 ask 25565",
      `1 opened ${OPEN} to 3601`,
    ]);
  });

  test("and back at once: what was to be taken away is, though it is for the right address again", () => {
    let answers = false;
    const keeping = run((request) => {
      if (request.kind === "unmap") return answers ? { kind: "unmapped", failure: null } : null;
      return request.kind === "ask" ? granted(25565) : null;
    }).until(10);
    keeping.hear({ kind: "network-changed", change: "moved" }).hear({ kind: "network-changed", change: "moved" });
    answers = true;
    keeping.hear({ kind: "unmapped", failure: failure("silent") });
    expect(keeping.take().slice(2)).toEqual([
      "10 unmap 25565",
      "10 unmap 25565",
      "10 ask 25565",
      `10 renewed ${OPEN} to 3610`,
    ]);
  });

  test("what is at the router before is not checked at the next one", () => {
    const keeping = run(answering(granted(25565), null), portWish()).until(44);
    keeping.hear({ kind: "network-changed", change: "elsewhere" }).until(200);
    expect(keeping.requests.map(({ request }) => request.kind)).toEqual(["ask", "ask"]);
  });

  test("nor after a check that was under way", () => {
    const keeping = run((request) => (request.kind === "ask" && request.held === null ? granted(25565) : null)).until(
      45,
    );
    keeping.hear({ kind: "network-changed", change: "elsewhere" });
    expect(keeping.requests.map(({ request }) => request.kind)).toEqual(["ask", "check", "ask"]);
    keeping.hear({ kind: "checked", holds: false });
    expect(keeping.take().slice(2)).toEqual(["45 ask 25565", `45 renewed ${OPEN} to 3645`]);
  });

  test("a failure is forgotten with its network: the next delays begin again", () => {
    const keeping = run(answering(failed("silent"))).until(100);
    keeping.take();
    const lines = keeping.hear({ kind: "network-changed", change: "elsewhere" }).until(108).take();
    expect(secondsOf(lines, "ask")).toEqual([100, 101, 103, 107]);
  });
});

describe("checks", () => {
  const igd = { lifetimeSec: null, via: "igd1" } as const;
  /** Answers for checks; everything else is granted. */
  const checks = (...answers: readonly KeeperEvent[]): Reply => {
    const left = [...answers];
    const others = agreeable(igd);
    return (request, nowMs) => {
      if (request.kind !== "check") return others(request, nowMs);
      return (left.length > 1 ? left.shift() : left[0]) ?? null;
    };
  };
  const checkTimes = (keeping: KeeperRun) =>
    keeping.requests.filter(({ request }) => request.kind === "check").map(({ atMs }) => atMs / 1000);

  test("every 45 to 60 s", () => {
    expect(checkTimes(run(agreeable(igd), PERMANENT).until(200))).toEqual([45, 90, 135, 180]);
    expect(checkTimes(run(agreeable(igd), PERMANENT, { random: MOST }).until(200)).map(Math.round)).toEqual([
      60, 120, 180,
    ]);
  });

  test("of many mappings, one a second", () => {
    expect(checkTimes(run(agreeable(igd), PERMANENT, { crowd: 256, random: MOST }).until(600)).map(Math.round)).toEqual(
      [256, 512],
    );
  });

  test("a lease is checked as well: a week is too long to wait", () => {
    expect(checkTimes(run(agreeable({ via: "igd2" })).until(100))).toEqual([45, 90]);
  });

  test("missing: asked for again at once", () => {
    const keeping = run(checks({ kind: "checked", holds: false }, { kind: "checked", holds: true }), PERMANENT).until(
      60,
    );
    expect(keeping.take()).toEqual([
      "0 ask 25565",
      `0 opened ${OPEN} for good`,
      "45 renew 25565 t1",
      `45 renewed ${OPEN} for good`,
    ]);
  });

  test("a protocol that cannot tell is asked once", () => {
    expect(checkTimes(run(checks({ kind: "checked", holds: null }), PERMANENT).until(600))).toEqual([45]);
  });

  test("another protocol may be able to tell", () => {
    const keeping = run((request, nowMs) => {
      if (request.kind === "check") return { kind: "checked", holds: nowMs > 60_000 ? true : null };
      return granted(25565, nowMs < 60_000 ? { lifetimeSec: 200 } : igd);
    });
    expect(checkTimes(keeping.until(200))).toEqual([45, 145, 190]);
  });

  test("an answer that comes after the lease has ended is about nothing", () => {
    const answers: KeeperEvent[] = [
      { kind: "checked", holds: true },
      { kind: "checked", holds: false },
      { kind: "check-failed", failure: failure("silent") },
    ];
    for (const answer of answers) {
      const keeping = run(
        (request) => (request.kind === "ask" ? granted(25565, { lifetimeSec: 100 }) : null),
        portWish(),
        {
          random: MOST,
        },
      );
      // Nothing else is asked while it is awaited.
      keeping.until(101);
      expect(keeping.requests.map(({ request }) => request.kind)).toEqual(["ask", "check"]);
      keeping.hear(answer).until(101);
      expect(keeping.take().slice(2)).toEqual([
        `100 lost: ${ENDED} The router did not renew it in time.`,
        "101 ask 25565",
        `101 opened ${OPEN} to 201`,
      ]);
    }
  });

  test("another mapping was missing: checked soon", () => {
    const keeping = run(agreeable(igd), PERMANENT).until(10).hear({ kind: "sibling-lost" });
    expect(checkTimes(keeping)).toEqual([10]);
  });

  test("another mapping was missing, and the protocol cannot tell: asked for", () => {
    const keeping = run(answering(granted(25565))).until(100);
    keeping.take();
    expect(keeping.hear({ kind: "sibling-lost" }).take()).toEqual([
      "100 renew 25565 t1",
      `100 renewed ${OPEN} to 3700`,
    ]);
  });

  test("a router that says nothing of a permanent mapping is believed for ten minutes", () => {
    const silent: KeeperEvent = { kind: "check-failed", failure: failure("silent") };
    const keeping = run(checks({ kind: "checked", holds: true }, silent), PERMANENT).until(700);
    expect(keeping.take()).toEqual([
      "0 ask 25565",
      `0 opened ${OPEN} for good`,
      "675 lost: The router was silent.",
      "675 ask 25565",
      `675 opened ${OPEN} for good`,
    ]);
  });
});

describe("leaving", () => {
  const leave: KeeperEvent = { kind: "leave" };
  /** Grants, and answers removals so. */
  const removing = (...answers: readonly (RouterFailureKind | null | "never")[]): Reply => {
    const left = [...answers];
    const others = agreeable();
    return (request, nowMs) => {
      if (request.kind !== "unmap") return others(request, nowMs);
      const kind = left.shift();
      if (kind === undefined || kind === "never") return null;
      return { kind: "unmapped", failure: kind === null ? null : failure(kind) };
    };
  };
  const OVER = "The router did not say that it closed port 25565/tcp; it may stay open until its lease ends.";
  const table: [string, Reply, PortWish, string[]][] = [
    ["removed", removing(null), portWish(), ["10 unmap 25565", "10 closed"]],
    ["tried twice", removing("silent", null), portWish(), ["10 unmap 25565", "11 unmap 25565", "11 closed"]],
    [
      "not thrice",
      removing("silent", "garbled"),
      portWish(),
      ["10 unmap 25565", "11 unmap 25565", `11 closed: ${OVER}`],
    ],
    ["refused: once", removing("refused"), portWish(), ["10 unmap 25565", `10 closed: ${OVER}`]],
    ["no answer: 3 s", removing("never"), portWish(), ["10 unmap 25565", `13 closed: ${OVER}`]],
  ];
  test.each(table)("%s", (_, reply, wish, expected) => {
    const keeping = run(reply, wish).until(10);
    keeping.take();
    expect(keeping.hear(leave).until(20).take()).toEqual(expected);
    expect(keeping.keeper.state).toEqual({ kind: "gone" });
    expect(keeping.keeper.nextDeadlineMs()).toBeNull();
    // Nothing wakes it.
    keeping.hear({ kind: "forgot" }).hear(leave).until(10_000);
    expect(keeping.take()).toEqual([]);
  });

  test("a permanent mapping that stays is said to stay", () => {
    const keeping = run(
      (request) => (request.kind === "ask" ? granted(25565, { lifetimeSec: null }) : null),
      PERMANENT,
    ).until(10);
    expect(keeping.hear(leave).until(13).take().at(-1)).toBe(
      "13 closed: The router did not say that it closed port 25565/tcp; it may stay open until it is removed there by hand.",
    );
  });

  test("what is not open needs no removal", () => {
    const keeping = run(answering(failed("refused"))).until(1);
    keeping.take();
    expect(keeping.hear(leave).take()).toEqual(["1 closed"]);
  });

  test("what is just being asked for is removed when the answer comes", () => {
    const keeping = run(answering(null)).until(1);
    keeping.hear(leave).until(2);
    expect(keeping.hear(granted(25565)).take()).toEqual(["0 ask 25565", "2 unmap 25565", "2 closed"]);
  });

  test("when that answer does not come, it is said", () => {
    const keeping = run(answering(null)).until(1);
    expect(keeping.hear(leave).until(4).take()).toEqual(["0 ask 25565", `4 closed: ${OVER}`]);
  });

  test("nobody waits for a check", () => {
    const keeping = run((request) => {
      if (request.kind === "ask") return granted(25565);
      return request.kind === "check" ? null : { kind: "unmapped", failure: null };
    }).until(50);
    keeping.take();
    keeping.hear(leave).hear({ kind: "checked", holds: false });
    expect(keeping.take()).toEqual(["50 unmap 25565", "50 closed"]);
  });

  test("a permanent mapping that was given up for silence is removed all the same", () => {
    let answers = true;
    const keeping = run((request) => {
      if (request.kind === "unmap") return { kind: "unmapped", failure: null };
      if (request.kind === "check") return { kind: "check-failed", failure: failure("silent") };
      if (!answers) return failed("silent");
      answers = false;
      return granted(25565, { lifetimeSec: null });
    }, PERMANENT).until(700);
    expect(keeping.keeper.state.kind).toBe("lost");
    keeping.take();
    expect(keeping.hear(leave).take()).toEqual(["700 unmap 25565", "700 closed"]);
  });

  test("given up, and opened at another port: the first one is removed then, or at the end", () => {
    for (const kind of [null, "silent"] as const) {
      let asked = 0;
      const keeping = run((request) => {
        if (request.kind === "unmap") return { kind: "unmapped", failure: kind === null ? null : failure(kind) };
        if (request.kind === "check") return { kind: "check-failed", failure: failure("silent") };
        return granted(asked++ === 0 ? 25565 : 4000, { lifetimeSec: null });
      }, PERMANENT).until(630);
      const opened = keeping.take().slice(-3);
      expect(opened).toEqual(["630 ask 25565", "630 opened 203.0.113.5:4000 for good", "630 unmap 25565"]);
      const left = keeping.hear(leave).until(640).take();
      const stays =
        "The router did not say that it closed port 4000/tcp; it may stay open until it is removed there by hand.";
      expect(left).toEqual(
        kind === null
          ? ["630 unmap 4000", "630 closed"]
          : ["630 unmap 4000", "631 unmap 4000", "631 unmap 25565", "632 unmap 25565", `632 closed: ${stays}`],
      );
    }
  });

  test("a port that is another's by now is left to it", () => {
    const keeping = run(answering(granted(25565, { lifetimeSec: null }), failed("conflict"), null), PERMANENT).until(
      100,
    );
    keeping.hear({ kind: "network-changed", change: "same" }).hear(failed("silent"));
    keeping.take();
    expect(keeping.hear(leave).take()).toEqual(["100 closed"]);
  });

  test("nothing is asked of the router before when the network is another", () => {
    const keeping = run(answering(granted(25565), null)).until(10);
    keeping.hear({ kind: "network-changed", change: "elsewhere" }).hear(failed("silent"));
    keeping.take();
    expect(keeping.hear(leave).take()).toEqual(["10 closed"]);
    const late = run(removing("never")).until(10).hear(leave);
    late.take();
    expect(late.hear({ kind: "network-changed", change: "elsewhere" }).take()).toEqual([`10 closed: ${OVER}`]);
  });
});
