import { expect, test } from "bun:test";
import fc from "fast-check";
import { KeepLab, wishFor } from "../../test/fixtures/fake-router/lab.ts";
import { FAKE_GATEWAY } from "../../test/fixtures/fake-router/mapper.ts";
import { LEAVE_MS } from "../core/router/leaving.ts";
import type { RouterFailureKind, RouterProtocol } from "../core/router/model.ts";
import { type PortWish, wishKey } from "../core/router/wish.ts";
import type { KeptNews } from "./keep.ts";

const MOODS = [
  "well",
  "silent",
  "never",
  "refused",
  "conflict",
  "garbled",
  "exhausted",
  "no-uplink",
  "closed",
] as const;
type Mood = (typeof MOODS)[number];

const wish = fc
  .record({
    port: fc.integer({ min: 2000, max: 2005 }),
    external: fc.constantFrom<number | null>(null, null, 0, 2003),
    exact: fc.boolean(),
    lifetimeSec: fc.constantFrom(null, 60, 3600),
  })
  .map(({ port, external, exact, lifetimeSec }) =>
    wishFor(port, { externalPort: external ?? port, exact: exact && external !== 0, lifetimeSec }),
  );
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("set" as const), wishes: fc.array(wish, { maxLength: 6 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), sec: fc.constantFrom(0, 0.05, 0.3, 1, 5, 40, 700) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("mood" as const), mood: fc.constantFrom<Mood>(...MOODS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reboot" as const), announces: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("network" as const),
      own: fc.constantFrom("192.168.1.10", "192.168.1.11"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("other" as const), port: fc.integer({ min: 2000, max: 2006 }) }),
  },
);
const speaks = fc.constantFrom<readonly RouterProtocol[]>(["pcp"], ["nat-pmp"], ["igd1"], ["pcp", "igd1"], ["igd2"]);

class Watched {
  readonly lab: KeepLab;
  hasForgotten = false;
  /** Its mappings that the router did not take back are found again when the address is ours again. */
  leftAddress = false;
  #mood: Mood = "well";
  readonly #openOf = new Map<string, boolean>();
  /** Ports inside of which it was said that they may stay open. */
  readonly #left = new Set<number>();

  constructor(protocols: readonly RouterProtocol[], random: () => number) {
    this.lab = new KeepLab({ router: { speaks: protocols, latencyMs: 20 }, random });
    this.lab.router.outcome = ({ kind, wish: asked }) => {
      if (this.#mood === "well") return null;
      // A conflict is about a port, and then it is not ours.
      if (this.#mood === "conflict" && kind !== "map") return null;
      if (this.#mood === "conflict") this.lab.router.table.delete(`tcp ${asked?.externalPort}`);
      return this.#mood satisfies RouterFailureKind | "never";
    };
  }

  be(mood: Mood): void {
    this.#mood = mood;
  }

  check(): void {
    const { router } = this.lab;
    for (const one of this.lab.news.splice(0)) this.#told(one);
    // But for what was said to stay; and a router that forgot may give a port to one while another renews it.
    if (this.#left.size === 0 && !this.hasForgotten && !this.leftAddress) expect(router.overwritten).toBe(0);
    expect(router.busiest).toBeLessThanOrEqual(8);
    const own = router.gateways[4]?.ownAddress;
    const rows = router.list().filter(({ internalAddress }) => internalAddress === own);
    const insides = rows.map(({ internalPort }) => internalPort).filter((port) => !this.#left.has(port));
    // A wish that replaces another one waits for it; the same port inside is never open twice.
    if (!this.leftAddress) expect(insides.length).toBe(new Set(insides).size);
  }

  #told({ wish: of, news }: KeptNews): void {
    const key = wishKey(of);
    const isOpen = this.#openOf.get(key) ?? false;
    switch (news.kind) {
      case "opened":
        expect(isOpen).toBe(false);
        this.#openOf.set(key, true);
        break;
      case "changed":
      case "renewed":
        expect(isOpen).toBe(true);
        break;
      case "lost":
        expect(isOpen).toBe(true);
        this.#openOf.set(key, false);
        break;
      case "closed":
        this.#openOf.set(key, false);
        if (news.left !== null) this.#left.add(of.internalPort);
        break;
      case "failing":
      case "refused":
        break;
      default:
        news satisfies never;
    }
  }

  /** Wishes that are told to be open. */
  get open(): string[] {
    return [...this.#openOf].filter(([, isOpen]) => isOpen).map(([key]) => key);
  }
}

test("whatever happens: nothing of ours is overwritten or open twice, and at the end nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(
      speaks,
      fc.array(step, { maxLength: 25 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (protocols, steps, stream) => {
        const watched = new Watched(protocols, () => stream.next().value);
        const { lab } = watched;
        const { router } = lab;
        let wishes: readonly PortWish[] = [];
        const kept = await lab.keep([]);
        for (const one of steps) {
          switch (one.kind) {
            case "set":
              wishes = one.wishes;
              kept.set(wishes);
              break;
            case "pass":
              await lab.pass(one.sec);
              break;
            case "mood":
              watched.be(one.mood);
              break;
            case "reboot":
              router.reboot(one.announces);
              watched.hasForgotten = true;
              break;
            case "network":
              if (router.gateways[4]?.ownAddress !== one.own) watched.leftAddress = true;
              router.gateways[4] = { ...FAKE_GATEWAY, ownAddress: one.own };
              kept.networkChanged();
              break;
            case "other":
              if (!router.live().includes(`tcp ${one.port}`)) router.take("tcp", one.port);
              break;
            default:
              one satisfies never;
          }
          await lab.clock.settle();
          watched.check();
        }
        // What leaves has left; what is told to be open is what the snapshot calls held.
        await lab.clock.advance(LEAVE_MS);
        watched.check();
        const held = kept.snapshot().filter(({ state }) => state.kind === "held");
        expect(watched.open.toSorted()).toEqual(held.map(({ wish: of }) => wishKey(of)).toSorted());
        // The router is well again: within the longest pause, and a lease of one that it lost, all that can be open is.
        watched.be("well");
        router.reboot();
        watched.hasForgotten = true;
        await lab.pass(70);
        watched.check();
        const isBarred = ({ why }: { readonly why?: { readonly message: string } | null }) =>
          /keep one|of this machine/.test(why?.message ?? "");
        for (const { state } of kept.snapshot())
          if (!("why" in state && isBarred(state))) expect(state.kind).toBe("held");
        const stoppedMs = lab.clock.nowMs();
        await lab.stop();
        watched.check();
        expect(lab.clock.nowMs() - stoppedMs).toBeLessThanOrEqual(LEAVE_MS);
        expect(lab.clock.timers).toBe(0);
        expect(router.list()).toEqual([]);
        expect(watched.open).toEqual([]);
        expect([...router.mappers].every(({ isClosed, isHeard }) => isClosed && !isHeard)).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
}, 60_000);
