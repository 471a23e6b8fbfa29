import { Deadlines } from "../core/deadlines.ts";
import { Keeper } from "../core/router/keeper.ts";
import type { HeldGrant, KeeperAction, KeeperEvent, KeeperNews, KeptPort } from "../core/router/keeper-model.ts";
import type { RouterFailure, RouterProtocol } from "../core/router/model.ts";
import { findClashes, overlaps, type PortWish, wishKey, wishText } from "../core/router/wish.ts";
import type { After } from "../os/timers.ts";
import { err, type Result } from "../wire/result.ts";
import type { RouterAccess } from "./access.ts";
import type { Calling, RouterLink } from "./router-link.ts";
import { Routers } from "./routers.ts";

/** What happened to one mapping. */
export interface KeptNews {
  readonly wish: PortWish;
  readonly news: KeeperNews;
}

export interface KeepOptions {
  readonly wishes: readonly PortWish[];
  readonly access: RouterAccess;
  /** Speak this protocol only; null = the best that does. */
  readonly only: RouterProtocol | null;
  /** 0..1, evenly. */
  readonly random: () => number;
  /** Monotonic: times of news and snapshots are by it. */
  readonly nowMs: () => number;
  readonly after: After;
  /** Takes all mappings away, in 3 s at most. */
  readonly signal: AbortSignal;
  /** Hears everything, in order; must not throw. */
  readonly onNews: (news: KeptNews) => void;
}

/** Mappings that are kept at this machine's routers until the signal aborts. */
export interface KeptMappings {
  /** The whole of what is to be open: what is new is asked for, what is left out is taken away, the rest goes on. */
  set(wishes: readonly PortWish[]): void;
  /** Routes or addresses of this machine may have changed. */
  networkChanged(): void;
  /** The machine slept: `nowMs` stood still for so long; 0 where it goes on in sleep. */
  resumed(sleptMs: number): void;
  /** In the order of the wishes. */
  snapshot(): readonly KeptPort[];
  /** Resolves when everything is taken away, or the time for that is over; rejects when something failed that cannot. */
  readonly ended: Promise<void>;
}

export function keepMappings(options: KeepOptions): KeptMappings {
  return new Keep(options);
}

interface Entry {
  readonly key: string;
  readonly wish: PortWish;
  readonly keeper: Keeper;
  /** Ends requests that wait for their turn. */
  readonly waiting: AbortController;
  /** Ends all its requests. */
  readonly all: AbortController;
  /** Entries that leave, and whose mappings are in the way of this one. Not begun before they are gone. */
  readonly behind: Set<Entry>;
  begun: boolean;
  /** The external port that the router is asked to open for it just now; null = none. */
  asksFor: number | null;
}

/** The router is asked so often whether it is there, what its address is, and whether it lost its mappings. */
const WATCH_MS = 30_000;
/** Timers count in 32 bits. */
const MAX_TIMER_MS = 3_600_000;

class Keep implements KeptMappings {
  readonly ended: Promise<void>;
  readonly #options: KeepOptions;
  readonly #routers: Routers;
  /** Those that are wished for, by wishKey, in the order of the wishes. */
  #entries = new Map<string, Entry>();
  readonly #leaving = new Set<Entry>();
  /** What gets in another wish's way, and why. */
  #barred = new Map<string, { readonly wish: PortWish; readonly why: RouterFailure }>();
  readonly #deadlines = new Deadlines<Entry>();
  readonly #end = Promise.withResolvers<void>();
  #armedMs: number | null = null;
  #cancelTimer = (): void => {};
  #cancelWatch = (): void => {};
  #watching = false;
  #stopped = false;

  constructor(options: KeepOptions) {
    this.#options = options;
    const { access, only, random, nowMs, signal } = options;
    this.ended = this.#end.promise;
    this.#routers = new Routers({
      access,
      only,
      random,
      nowMs,
      onEvent: (family, event) => {
        this.#tellFamily(family, event);
        // Most often both are one box, and its restart may be heard of in one of them alone.
        if (event.kind === "forgot") this.#tellFamily(family === 4 ? 6 : 4, { kind: "sibling-lost" });
      },
      onBroken: (error) => this.#broken(error),
    });
    this.#watchLater();
    this.set(options.wishes);
    if (signal.aborted) this.#stop();
    else signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  set(wishes: readonly PortWish[]): void {
    if (this.#stopped) return;
    const clashes = findClashes(wishes);
    const before = this.#entries;
    const barredBefore = this.#barred;
    this.#entries = new Map();
    this.#barred = new Map();
    const fresh: Entry[] = [];
    for (const wish of wishes) {
      const key = wishKey(wish);
      const clash = clashes.get(key);
      if (clash !== undefined) this.#bar(key, wish, clash, !barredBefore.has(key));
      else if (!this.#entries.has(key)) {
        const entry = before.get(key) ?? this.#newEntry(key, wish);
        this.#entries.set(key, entry);
        if (!before.has(key)) fresh.push(entry);
      }
    }
    for (const [key, entry] of before) if (!this.#entries.has(key)) this.#leave(entry);
    // Who must have one port goes before those whom the router may give it to.
    for (const entry of fresh.toSorted((a, b) => Number(b.wish.exact) - Number(a.wish.exact))) this.#begin(entry);
    this.#arm();
  }

  networkChanged(): void {
    if (!this.#stopped) this.#track(this.#routers.refresh());
  }

  resumed(sleptMs: number): void {
    for (const family of [4, 6] as const) this.#tellFamily(family, { kind: "resumed", sleptMs });
  }

  snapshot(): readonly KeptPort[] {
    const kept = [...this.#entries.values()].map(({ wish, keeper }): KeptPort => ({ wish, state: keeper.state }));
    const barred = [...this.#barred.values()].map(
      ({ wish, why }): KeptPort => ({ wish, state: { kind: "refused", why, atMs: null } }),
    );
    return [...kept, ...barred];
  }

  #bar(key: string, wish: PortWish, reason: string, isNew: boolean): void {
    const why: RouterFailure = { kind: "conflict", code: null, message: reason };
    this.#barred.set(key, { wish, why });
    if (isNew) this.#options.onNews({ wish, news: { kind: "refused", reason, why } });
  }

  #newEntry(key: string, wish: PortWish): Entry {
    const { random, nowMs } = this.#options;
    const crowd = () => this.#entries.size + this.#leaving.size;
    const isFree = (port: number) => !this.#others(entry).some((other) => wantsPort(other, port));
    const keeper = new Keeper(wish, { random, crowd, isFree }, nowMs());
    const [waiting, all] = [new AbortController(), new AbortController()];
    const entry: Entry = { key, wish, keeper, waiting, all, behind: new Set(), begun: false, asksFor: null };
    return entry;
  }

  /** Those that share the external ports with it. */
  #others(entry: Entry): Entry[] {
    const { family, protocol } = entry.wish;
    return [...this.#entries.values(), ...this.#leaving].filter(
      (other) => other !== entry && other.wish.family === family && other.wish.protocol === protocol,
    );
  }

  #begin(entry: Entry): void {
    for (const leaving of this.#leaving) {
      if (overlaps(leaving.wish, leaving.keeper.externalPort, entry.wish)) entry.behind.add(leaving);
    }
    if (entry.behind.size === 0) this.#beginNow(entry);
  }

  #beginNow(entry: Entry): void {
    entry.begun = true;
    this.#carryOut(entry, entry.keeper.onTime(this.#options.nowMs()));
  }

  #leave(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#leaving.add(entry);
    entry.waiting.abort();
    this.#hear(entry, { kind: "leave" });
  }

  #gone(entry: Entry): void {
    this.#leaving.delete(entry);
    entry.all.abort();
    for (const other of this.#entries.values()) {
      if (other.behind.delete(entry) && other.behind.size === 0) this.#beginNow(other);
    }
    this.#finishIfEmpty();
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelWatch();
    for (const entry of [...this.#entries.values()]) this.#leave(entry);
    this.#finishIfEmpty();
  }

  #finishIfEmpty(): void {
    if (!this.#stopped || this.#entries.size > 0 || this.#leaving.size > 0) return;
    this.#cancelTimer();
    this.#routers.close();
    this.#end.resolve();
  }

  /** A fault of this program: nothing goes on as if it had not happened. */
  #broken(error: unknown): void {
    this.#end.reject(error);
    this.#stop();
  }

  #track(work: Promise<void>): void {
    work.catch((error: unknown) => this.#broken(error));
  }

  #tellFamily(family: 4 | 6, event: KeeperEvent): void {
    for (const entry of [...this.#entries.values(), ...this.#leaving]) {
      if (entry.wish.family === family && entry.begun) this.#hear(entry, event);
    }
  }

  #hear(entry: Entry, event: KeeperEvent): void {
    this.#carryOut(entry, entry.keeper.on(event, this.#options.nowMs()));
  }

  #carryOut(entry: Entry, actions: readonly KeeperAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case "ask":
          this.#track(this.#ask(entry, action.externalPort, action.held));
          break;
        case "check":
          this.#track(this.#check(entry, action.held));
          break;
        case "unmap":
          this.#track(this.#unmap(entry, action.held));
          break;
        case "tell":
          this.#options.onNews({ wish: entry.wish, news: action.news });
          break;
        default:
          action satisfies never;
      }
    }
    const atMs = entry.keeper.nextDeadlineMs();
    if (atMs === null) this.#deadlines.clear(entry);
    else this.#deadlines.set(entry, atMs);
    this.#arm();
    if (entry.keeper.state.kind === "gone" && this.#leaving.has(entry)) this.#gone(entry);
  }

  async #ask(entry: Entry, externalPort: number, held: HeldGrant | null): Promise<void> {
    const calling: Calling = { waiting: entry.waiting.signal, all: entry.all.signal };
    const taken = held === null ? this.#takenByOurs(entry, externalPort) : null;
    if (taken === null) entry.asksFor = externalPort;
    const answer =
      taken === null
        ? await this.#request(entry, (link) => link.ask(entry.wish, externalPort, held, calling))
        : err(taken);
    entry.asksFor = null;
    if (!answer.ok) {
      this.#hear(entry, { kind: "failed", failure: answer.error });
      return;
    }
    const { externalPort: given } = answer.value.grant;
    const before = entry.wish.family === 6 ? [] : this.#others(entry).filter((other) => isOpenAt(other, given));
    this.#hear(entry, { kind: "granted", held: answer.value });
    if (before.length === 0) return;
    for (const other of before) this.#hear(other, { kind: "taken-over" });
    this.#tellSiblings(entry);
  }

  async #check(entry: Entry, held: HeldGrant): Promise<void> {
    const calling: Calling = { waiting: entry.waiting.signal, all: entry.all.signal };
    const answer = await this.#request(entry, (link) => link.holds(entry.wish, held, calling));
    if (!answer.ok) {
      this.#hear(entry, { kind: "check-failed", failure: answer.error });
      return;
    }
    this.#hear(entry, { kind: "checked", holds: answer.value });
    if (answer.value === false) this.#tellSiblings(entry);
  }

  /** The router lost a mapping of ours: most often it lost all. */
  #tellSiblings(entry: Entry): void {
    for (const other of this.#entries.values()) {
      if (other === entry || !other.begun || other.wish.family !== entry.wish.family) continue;
      this.#hear(other, { kind: "sibling-lost" });
    }
  }

  async #unmap(entry: Entry, held: HeldGrant): Promise<void> {
    const calling: Calling = { waiting: entry.all.signal, all: entry.all.signal };
    const answer = await this.#request(entry, (link) => link.unmap(entry.wish, held, calling));
    this.#hear(entry, { kind: "unmapped", failure: answer.ok ? null : answer.error });
  }

  async #request<T>(
    { wish }: Entry,
    act: (link: RouterLink) => Promise<Result<T, RouterFailure>>,
  ): Promise<Result<T, RouterFailure>> {
    const link = await this.#routers.link(wish.family);
    return link === null ? err(noRouter(wish.family)) : act(link);
  }

  /** A port that another mapping of ours has, or asks for: UPnP would hand it over without a word. */
  #takenByOurs(entry: Entry, externalPort: number): RouterFailure | null {
    if (entry.wish.family === 6 || externalPort === 0) return null;
    const owner = this.#others(entry).find((other) => other.asksFor === externalPort || isOpenAt(other, externalPort));
    if (owner === undefined) return null;
    const message = `External port ${externalPort}/${entry.wish.protocol} is in use for ${wishText(owner.wish)} of this machine.`;
    return { kind: "conflict", code: null, message };
  }

  #arm(): void {
    const nextMs = this.#deadlines.nextMs();
    if (nextMs === this.#armedMs) return;
    this.#cancelTimer();
    this.#armedMs = nextMs;
    if (nextMs === null) return;
    const delayMs = Math.ceil(Math.max(0, nextMs - this.#options.nowMs()));
    this.#cancelTimer = this.#options.after(Math.min(MAX_TIMER_MS, delayMs), () => this.#due());
  }

  #due(): void {
    this.#armedMs = null;
    const nowMs = this.#options.nowMs();
    for (const entry of this.#deadlines.takeDue(nowMs)) this.#carryOut(entry, entry.keeper.onTime(nowMs));
    this.#arm();
  }

  #watchLater(): void {
    this.#cancelWatch = this.#options.after(WATCH_MS, () => {
      this.#watchLater();
      if (!this.#watching) this.#track(this.#watch());
    });
  }

  async #watch(): Promise<void> {
    this.#watching = true;
    const kept = this.snapshot();
    for (const family of [4, 6] as const) {
      const open = kept.flatMap(({ wish, state }) =>
        wish.family === family && state.kind === "held" ? [state.mapping.via] : [],
      );
      if (open.length > 0) await this.#routers.watch(family, new Set(open));
    }
    this.#watching = false;
  }
}

function wantsPort({ wish, keeper }: Entry, port: number): boolean {
  return wish.externalPort === port || keeper.externalPort === port;
}

function isOpenAt({ keeper }: Entry, port: number): boolean {
  const { state } = keeper;
  return state.kind === "held" && state.mapping.externalPort === port;
}

function noRouter(family: 4 | 6): RouterFailure {
  const message = `This machine has no IPv${family} router: connect it to a network that has one.`;
  return { kind: "no-uplink", code: null, message };
}
