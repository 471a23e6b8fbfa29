import { expect, test } from "bun:test";
import fc from "fast-check";
import { MIN_RENEWAL_SPACING_MS } from "./holding.ts";
import { failed, failure, granted, KeeperRun, OWN_ADDRESS, portWish, type Request } from "./keeper.fixture.ts";
import type { KeeperEvent, KeeperNews } from "./keeper-model.ts";
import { LEAVE_MS } from "./leaving.ts";
import type { RouterFailureKind } from "./model.ts";
import { MAX_OTHER_PORTS, MIN_RETRY_MS } from "./retries.ts";
import type { PortWish } from "./wish.ts";

const FAILURES = [
  "silent",
  "closed",
  "unsupported",
  "conflict",
  "refused",
  "exhausted",
  "no-uplink",
  "garbled",
] as const;

/** What the router does with the request under way. `elsewhere` is a grant of another port than was asked for. */
const treatment = fc.oneof(
  { weight: 4, arbitrary: fc.constant("grant" as const) },
  { weight: 1, arbitrary: fc.constant("elsewhere" as const) },
  { weight: 3, arbitrary: fc.constantFrom<RouterFailureKind>(...FAILURES) },
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      treatment,
      lifetimeSec: fc.constantFrom(null, 5, 60, 3600),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      sec: fc.oneof(fc.double({ min: 0, max: 8, noNaN: true }), fc.constantFrom(60, 700, 4000)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("forgot" as const, "router-back" as const, "sibling-lost" as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("network-changed" as const),
      change: fc.constantFrom("same" as const, "moved" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("resumed" as const), sleptMs: fc.constantFrom(0, 30_000, 4_000_000) }),
  },
);
const wishes = fc.record({ exact: fc.boolean(), lifetimeSec: fc.constantFrom(null, 60, 3600) });

/** A router that knows mappings by their external port, like UPnP; the clock is the run's. */
class Router {
  readonly #mappings = new Map<number, number>();
  /** Mappings of ours that are live. */
  live(nowMs: number): number[] {
    return [...this.#mappings].filter(([, endsMs]) => endsMs > nowMs).map(([port]) => port);
  }

  /** The answer to a request, after doing it. */
  answer(
    request: Request,
    kind: "grant" | "elsewhere" | RouterFailureKind,
    lifetimeSec: number | null,
    nowMs: number,
  ): KeeperEvent {
    if (request.kind === "unmap") {
      if (kind !== "grant" && kind !== "elsewhere") return { kind: "unmapped", failure: failure(kind) };
      this.#mappings.delete(request.held.grant.externalPort);
      return { kind: "unmapped", failure: null };
    }
    if (request.kind === "check")
      return { kind: "checked", holds: this.live(nowMs).includes(request.held.grant.externalPort) };
    // Somebody else has it.
    if (kind === "conflict") this.#mappings.delete(request.externalPort);
    if (kind !== "grant" && kind !== "elsewhere") return failed(kind);
    const port = kind === "grant" ? request.externalPort : request.externalPort + 7;
    // A renewal that moves leaves nothing behind.
    if (request.held !== null) this.#mappings.delete(request.held.grant.externalPort);
    this.#mappings.set(port, lifetimeSec === null ? Number.POSITIVE_INFINITY : nowMs + lifetimeSec * 1000);
    return granted(port, { lifetimeSec, internalAddress: OWN_ADDRESS });
  }

  forget(): void {
    this.#mappings.clear();
  }

  sleep(sleptMs: number): void {
    for (const [port, endsMs] of this.#mappings) this.#mappings.set(port, endsMs - sleptMs);
  }
}

interface Answered {
  readonly atMs: number;
  readonly conflict: boolean;
}

/** Drives one keeper and looks at everything that it does. */
class Watched {
  readonly run: KeeperRun;
  readonly router = new Router();
  #pending: Request | null = null;
  #answered: Answered | null = null;
  #lastPort: number | null = null;
  #atOnce = 0;
  #open = false;
  #closed = false;
  #newsSeen = 0;
  #networkChanged = false;
  /** Ports that it tried to give back. */
  readonly #refusedBack = new Set<number>();
  /** The request under way is for an address that is ours no longer. */
  #isForBefore = false;

  constructor(wish: PortWish, random: () => number) {
    this.run = new KeeperRun(
      wish,
      (request, nowMs) => {
        this.#began(request, nowMs);
        return null;
      },
      { random },
    );
  }

  #began(request: Request, nowMs: number): void {
    // A check may be given up when it leaves; nothing else overlaps.
    if (this.#pending !== null) expect(this.#pending.kind).toBe("check");
    this.#pending = request;
    if (request.kind !== "ask") return;
    expect(this.#closed).toBe(false);
    const before = this.#answered;
    if (before !== null && !this.#networkChanged) {
      const sinceMs = nowMs - before.atMs;
      const isOther = before.conflict && request.externalPort !== this.#lastPort;
      if (request.held !== null) expect(sinceMs).toBeGreaterThanOrEqual(MIN_RENEWAL_SPACING_MS - 1e-6);
      else if (!isOther) expect(sinceMs).toBeGreaterThanOrEqual(MIN_RETRY_MS - 1e-6);
      this.#atOnce = sinceMs < MIN_RETRY_MS ? this.#atOnce + 1 : 0;
      expect(this.#atOnce).toBeLessThanOrEqual(MAX_OTHER_PORTS);
    }
    this.#networkChanged = false;
    this.#lastPort = request.externalPort;
  }

  answer(kind: "grant" | "elsewhere" | RouterFailureKind, lifetimeSec: number | null): void {
    const request = this.#pending;
    if (request === null) return;
    this.#pending = null;
    if (request.kind === "ask") this.#answered = { atMs: this.run.nowMs, conflict: kind === "conflict" };
    const answer = this.router.answer(request, kind, lifetimeSec, this.run.nowMs);
    if (answer.kind === "unmapped" && request.kind === "unmap") {
      if (answer.failure === null) this.#refusedBack.delete(request.held.grant.externalPort);
      else this.#refusedBack.add(request.held.grant.externalPort);
    }
    if (this.#isForBefore) this.router.forget();
    this.#isForBefore = false;
    this.hear(answer);
  }

  hear(event: KeeperEvent): void {
    if (event.kind === "network-changed") this.#networkChanged = true;
    // What leads to the address before is another host's: this one tries to take it away, and may not.
    if (event.kind === "network-changed" && event.change === "moved") {
      this.router.forget();
      this.#isForBefore = this.#pending?.kind === "ask";
    }
    if (event.kind === "forgot") this.router.forget();
    if (event.kind === "resumed") this.router.sleep(event.sleptMs);
    this.run.hear(event);
    this.check();
  }

  check(): void {
    for (const news of this.run.news.slice(this.#newsSeen)) this.#told(news);
    this.#newsSeen = this.run.news.length;
    const state = this.run.keeper.state;
    expect(state.kind === "held").toBe(this.#open && !this.#closed && state.kind !== "leaving");
    const live = this.router.live(this.run.nowMs);
    // A second one only while it is given back, which is what it does next; or the router would not take it.
    const wanted = live.filter((port) => !this.#refusedBack.has(port));
    if (this.#pending?.kind !== "unmap") expect(wanted.length).toBeLessThanOrEqual(1);
    const atMs = this.run.keeper.nextDeadlineMs();
    // Someone who waits for nothing wakes for nothing.
    if (state.kind !== "held" && state.kind !== "gone" && this.#pending === null) expect(atMs).not.toBeNull();
    if (state.kind === "gone") expect(atMs).toBeNull();
  }

  #told(news: KeeperNews): void {
    expect(this.#closed).toBe(false);
    switch (news.kind) {
      case "opened":
        expect(this.#open).toBe(false);
        this.#open = true;
        break;
      case "changed":
      case "renewed":
        expect(this.#open).toBe(true);
        break;
      case "lost":
        expect(this.#open).toBe(true);
        this.#open = false;
        break;
      case "failing":
        expect(news.open !== null).toBe(this.#open);
        break;
      case "refused":
        break;
      case "closed":
        this.#closed = true;
        break;
      default:
        news satisfies never;
    }
  }
}

test("whatever a router does: one request at a time, well spaced; one mapping at most; and none is left", () => {
  fc.assert(
    fc.property(
      wishes,
      fc.array(step, { maxLength: 60 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (wish, steps, stream) => {
        const watched = new Watched(portWish(wish), () => stream.next().value);
        watched.run.until(0);
        for (const one of steps) {
          switch (one.kind) {
            case "answer":
              watched.answer(one.treatment, one.lifetimeSec);
              break;
            case "pass":
              watched.run.untilMs(watched.run.nowMs + one.sec * 1000);
              watched.check();
              break;
            default:
              watched.hear(one);
          }
        }
        watched.hear({ kind: "leave" });
        for (let answers = 0; answers < 3; answers++) watched.answer("grant", 3600);
        expect(watched.run.keeper.state).toEqual({ kind: "gone" });
        expect(watched.run.news.at(-1)).toEqual({ kind: "closed", left: null });
        expect(watched.router.live(watched.run.nowMs)).toEqual([]);
      },
    ),
    { numRuns: 2000 },
  );
});

test("leaving takes 3 s at most, whatever the router does", () => {
  fc.assert(
    fc.property(
      wishes,
      fc.array(step, { maxLength: 30 }),
      fc.array(treatment, { maxLength: 3 }),
      (wish, steps, answers) => {
        const watched = new Watched(portWish(wish), () => 0.5);
        watched.run.until(0);
        for (const one of steps) {
          if (one.kind === "answer") watched.answer(one.treatment, one.lifetimeSec);
          else if (one.kind === "pass") watched.run.untilMs(watched.run.nowMs + one.sec * 1000);
          else watched.hear(one);
        }
        const leftMs = watched.run.nowMs;
        watched.hear({ kind: "leave" });
        for (const answer of answers) watched.answer(answer, 60);
        watched.run.untilMs(leftMs + LEAVE_MS);
        watched.check();
        expect(watched.run.keeper.state).toEqual({ kind: "gone" });
        expect(watched.run.news.at(-1)?.kind).toBe("closed");
      },
    ),
    { numRuns: 1000 },
  );
});

test("a router that always fails is asked ever less: 130 times an hour at most", () => {
  // Up to 64 s: six doublings, or seven ports and six doublings; then once in 30 to 60 s.
  for (const kind of FAILURES) {
    for (const random of [0, 0.5, 0.999]) {
      for (const exact of [false, true]) {
        const run = new KeeperRun(portWish({ exact }), () => failed(kind), { random: () => random });
        expect(run.until(3600).requests.length).toBeLessThanOrEqual(130);
      }
    }
  }
});
