import { Checks } from "./checks.ts";
import { afterSleep, type Holding, hold, MIN_RENEWAL_SPACING_MS, newsOf, renewalAtMs } from "./holding.ts";
import type {
  HeldGrant,
  KeeperAction,
  KeeperEvent,
  KeeperNews,
  KeeperOptions,
  KeptState,
  NetworkChange,
} from "./keeper-model.ts";
import { ELSEWHERE, FORGOT, leaseEnded, mayStayOpen, NO_TIME, otherPortGranted, TAKEN_OVER } from "./keeper-words.ts";
import { Leaving } from "./leaving.ts";
import type { RouterFailure, RouterFailureKind } from "./model.ts";
import { spreadMs } from "./pace.ts";
import { isNo, MIN_RETRY_MS, Retries } from "./retries.ts";
import type { PortWish } from "./wish.ts";

/** That the router does not have the mapping any more: known, or suspected. */
interface Doubt {
  readonly certain: boolean;
  readonly why: RouterFailure;
}

/**
 * Keeps one mapping at a router: asks for it, renews it, asks again when it is lost, and takes it away at the end. Feed
 * it what happens and the time, carry out the actions, and answer each of them (but `tell`) with one event: one request
 * at most is under way. Call `onTime` at `nextDeadlineMs`, first at once. The clock must not go backwards.
 */
export class Keeper {
  readonly wish: PortWish;
  readonly #options: KeeperOptions;
  readonly #retries: Retries;
  readonly #checks: Checks;
  #leaving: Leaving | null = null;
  #isGone = false;
  #pending: "ask" | "check" | "unmap" | null = null;
  /** The network changed so since the request under way: its answer is about another one. */
  #stale: "moved" | "elsewhere" | null = null;
  /** The router came back during the request under way. */
  #isBack = false;
  #holding: Holding | null = null;
  #doubt: Doubt | null = null;
  /** The holding is at a router, or for an address, that is ours no longer. */
  #foreign = false;
  /** To be unmapped before it asks again. `why`: what was wrong with it; null = another mapping took its place. */
  #undo: { readonly held: HeldGrant; readonly why: RouterFailure | null; readonly tried: boolean } | null = null;
  /** Given up, but perhaps still there. */
  #remains: HeldGrant | null = null;
  /** To be asked for next; 0 = any. */
  #port: number;
  #askMs: number | null;
  /** The last answer to a request for the mapping. */
  #answeredMs = Number.NEGATIVE_INFINITY;
  #why: RouterFailure | null = null;
  #toldKind: RouterFailureKind | null = null;
  #wasOpen = false;
  #out: KeeperAction[] = [];

  constructor(wish: PortWish, options: KeeperOptions, nowMs: number) {
    this.wish = wish;
    this.#options = options;
    this.#retries = new Retries(wish, options);
    this.#checks = new Checks(options);
    this.#port = wish.externalPort;
    this.#askMs = nowMs;
  }

  get state(): KeptState {
    if (this.#isGone || this.#leaving !== null) return { kind: this.#isGone ? "gone" : "leaving" };
    const why = this.#why;
    const atMs = this.#pending === "ask" ? null : this.#askMs;
    if (this.#holding !== null) return { kind: "held", mapping: this.#holding.open, renewAtMs: atMs, why };
    if (why === null) return { kind: "asking" };
    if (isNo(why.kind)) return { kind: "refused", why, atMs };
    return { kind: this.#wasOpen ? "lost" : "retrying", why, atMs };
  }

  /** The external port that it has, or asks for now; null = none in particular. */
  get externalPort(): number | null {
    const port = this.#holding?.open.externalPort ?? this.#port;
    return port === 0 || this.#isGone ? null : port;
  }

  nextDeadlineMs(): number | null {
    if (this.#isGone) return null;
    if (this.#leaving !== null) return this.#leaving.deadlineMs(this.#pending !== null);
    const due = [this.#holding?.open.endsMs ?? null];
    if (this.#pending === null) due.push(this.#askMs, this.#checks.atMs);
    const times = due.filter((ms) => ms !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  onTime(nowMs: number): KeeperAction[] {
    this.#advance(nowMs);
    return this.#drain();
  }

  on(event: KeeperEvent, nowMs: number): KeeperAction[] {
    if (this.#isGone) return [];
    this.#hear(event, nowMs);
    this.#advance(nowMs);
    return this.#drain();
  }

  #drain(): KeeperAction[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #hear(event: KeeperEvent, nowMs: number): void {
    switch (event.kind) {
      case "granted":
      case "failed":
        if (this.#pending === "ask") this.#answered(event, nowMs);
        break;
      case "checked":
        if (this.#pending === "check") this.#checked(event.holds, nowMs);
        break;
      case "check-failed":
        if (this.#pending === "check") this.#checkFailed(event.failure, nowMs);
        break;
      case "unmapped":
        if (this.#pending === "unmap") this.#unmapped(event.failure, nowMs);
        break;
      case "leave":
        this.#leave(nowMs);
        break;
      case "forgot":
        if (this.#holding === null) this.#routerBack(nowMs);
        else this.#askInDoubt({ certain: true, why: FORGOT }, nowMs);
        break;
      case "network-changed":
        this.#networkChanged(event.change, nowMs);
        break;
      case "resumed":
        if (this.#holding !== null) this.#holding = afterSleep(this.#holding, event.sleptMs);
        this.#askInDoubt({ certain: false, why: ELSEWHERE }, nowMs);
        break;
      case "router-back":
        this.#routerBack(nowMs);
        break;
      case "sibling-lost":
        this.#siblingLost(nowMs);
        break;
      case "taken-over":
        // Otherwise the answer to the request under way says whose it is.
        if (this.#holding !== null && !this.#foreign && this.#pending !== "ask") this.#failed(TAKEN_OVER, nowMs);
        break;
      case "address-seen":
        this.#addressSeen(event.address);
        break;
      default:
        event satisfies never;
    }
  }

  /** Begins what is due. */
  #advance(nowMs: number): void {
    if (this.#isGone) return;
    if (this.#leaving !== null) {
      this.#goOnLeaving(this.#leaving, nowMs);
      return;
    }
    const endsMs = this.#holding?.open.endsMs ?? null;
    if (endsMs !== null && nowMs >= endsMs) this.#lose(leaseEnded(this.wish, this.#why), nowMs);
    if (this.#pending !== null) return;
    const isAskDue = this.#askMs !== null && nowMs >= this.#askMs;
    if (this.#undo !== null && (isAskDue || !this.#undo.tried)) this.#request({ kind: "unmap", held: this.#undo.held });
    else if (isAskDue) this.#ask();
    else if (this.#holding !== null && nowMs >= (this.#checks.atMs ?? Number.POSITIVE_INFINITY)) {
      this.#request({ kind: "check", held: this.#holding.held });
    }
  }

  #request(action: Extract<KeeperAction, { readonly kind: "ask" | "check" | "unmap" }>): void {
    this.#pending = action.kind;
    this.#out.push(action);
  }

  #ask(): void {
    this.#askMs = null;
    const held = this.#foreign ? null : (this.#holding?.held ?? null);
    this.#request({ kind: "ask", externalPort: this.#port, held });
  }

  #answered(answer: Extract<KeeperEvent, { readonly kind: "granted" | "failed" }>, nowMs: number): void {
    this.#pending = null;
    this.#answeredMs = nowMs;
    const stale = this.#stale;
    this.#stale = null;
    if (this.#leaving !== null) {
      if (stale !== "elsewhere" && answer.kind === "granted") this.#leaving.granted(answer.held);
    } else if (stale !== null) {
      // The same router opened it for an address that is ours no longer.
      if (stale === "moved" && answer.kind === "granted") this.#undo = { held: answer.held, why: null, tried: false };
    } else if (answer.kind === "granted") this.#granted(answer.held, nowMs);
    else this.#failed(answer.failure, nowMs);
    const wasBack = this.#isBack;
    this.#isBack = false;
    if (wasBack) this.#routerBack(nowMs);
  }

  #granted(held: HeldGrant, nowMs: number): void {
    const { externalPort, lifetimeSec } = held.grant;
    if (lifetimeSec !== null && lifetimeSec <= 0) {
      this.#failed(NO_TIME, nowMs);
    } else if (this.wish.exact && externalPort !== this.wish.externalPort) {
      const why = otherPortGranted(this.wish, externalPort);
      if (this.#holding !== null) this.#lose(why, nowMs);
      this.#undo = { held, why, tried: false };
    } else this.#take(held, nowMs);
  }

  #take(held: HeldGrant, nowMs: number): void {
    const before = this.#holding;
    const holding = hold(held, before, nowMs);
    this.#checks.granted(this.#foreign || before?.held.via !== held.via, nowMs);
    this.#holding = holding;
    this.#port = held.grant.externalPort;
    this.#doubt = null;
    this.#foreign = false;
    const remains = this.#remains;
    // The port that it was given up with may be open beside the one that it has now.
    if (remains !== null && remains.grant.externalPort !== this.#port)
      this.#undo = { held: remains, why: null, tried: false };
    this.#remains = null;
    this.#why = null;
    this.#toldKind = null;
    this.#wasOpen = true;
    this.#retries.reset();
    const renewAtMs = renewalAtMs(holding, this.#options.random());
    this.#askMs = renewAtMs === null ? null : Math.max(renewAtMs, nowMs + MIN_RENEWAL_SPACING_MS);
    this.#tell(newsOf(before?.open ?? null, holding.open));
  }

  #failed(failure: RouterFailure, nowMs: number): void {
    const holding = this.#holding;
    // A port that is another's is not ours; nor is what the router is known to have lost, and did not give again.
    const doubt = this.#doubt?.certain === true ? this.#doubt.why : null;
    if (holding !== null && failure.kind !== "conflict" && doubt === null && !this.#isDisbelieved(nowMs)) {
      this.#failedRenewal(holding, failure, nowMs);
      return;
    }
    const message = doubt === null ? failure.message : `${doubt.message} ${failure.message}`;
    this.#lose({ ...failure, message }, nowMs);
    this.#retry(failure, nowMs);
  }

  /** It is open until its lease ends. */
  #failedRenewal(holding: Holding, failure: RouterFailure, nowMs: number): void {
    this.#why = failure;
    const next = { ...holding, attempt: holding.attempt + 1 };
    this.#holding = next;
    const renewAtMs = this.#doubt === null ? renewalAtMs(next, this.#options.random()) : null;
    const atMs = renewAtMs ?? nowMs + this.#retries.waitMs(failure, nowMs);
    this.#askMs = Math.max(atMs, nowMs + MIN_RENEWAL_SPACING_MS);
    this.#tellOnce({ kind: "failing", reason: failure.message, why: failure, open: holding.open });
  }

  /** It is not open. */
  #retry(failure: RouterFailure, nowMs: number): void {
    this.#why = failure;
    const next = failure.kind === "conflict" ? this.#retries.afterConflict(this.#port) : { port: null, atOnce: false };
    if (next.port !== null) this.#port = next.port;
    this.#askMs = next.atOnce ? nowMs : nowMs + this.#retries.waitMs(failure, nowMs);
    if (next.atOnce) return;
    const reason = failure.message;
    if (isNo(failure.kind)) this.#tellOnce({ kind: "refused", reason, why: failure });
    else this.#tellOnce({ kind: "failing", reason, why: failure, open: null });
  }

  #lose(why: RouterFailure, nowMs: number): void {
    const holding = this.#holding;
    if (holding === null) return;
    // A lease ends by itself. A permanent mapping may be there for ever, unless it is another's by now.
    const isThere = holding.open.endsMs === null && this.#doubt?.certain !== true && why.kind !== "conflict";
    if (isThere) this.#remains = holding.held;
    this.#holding = null;
    this.#doubt = null;
    this.#foreign = false;
    this.#checks.stop();
    this.#why = why;
    this.#toldKind = why.kind;
    this.#askMs = Math.max(nowMs + this.#spreadMs(), this.#answeredMs + MIN_RETRY_MS);
    this.#tell({ kind: "lost", reason: why.message, why, was: holding.open });
  }

  /** Only a permanent mapping has nothing else to end it. */
  #isDisbelieved(nowMs: number): boolean {
    return this.#holding?.open.endsMs === null && this.#checks.isLongAgo(nowMs);
  }

  #checked(holds: boolean | null, nowMs: number): void {
    this.#pending = null;
    if (this.#holding === null) return;
    this.#checks.answered(holds, nowMs);
    if (holds === false) this.#askInDoubt({ certain: true, why: FORGOT }, nowMs, 0);
  }

  #checkFailed(failure: RouterFailure, nowMs: number): void {
    this.#pending = null;
    if (this.#holding === null) return;
    this.#checks.plan(nowMs);
    if (this.#isDisbelieved(nowMs)) this.#lose(failure, nowMs);
  }

  /** Asks soon, with the port and the ticket that it has. */
  #askInDoubt(doubt: Doubt, nowMs: number, spreadMs = this.#spreadMs()): void {
    if (this.#holding !== null && this.#doubt?.certain !== true) this.#doubt = doubt;
    this.#askSoon(nowMs, spreadMs);
  }

  #askSoon(nowMs: number, spreadMs = this.#spreadMs()): void {
    // The answer to the request under way is the answer.
    if (this.#pending === "ask" && this.#stale === null) return;
    const spacingMs = this.#holding === null ? MIN_RETRY_MS : MIN_RENEWAL_SPACING_MS;
    const atMs = Math.max(nowMs + spreadMs, this.#answeredMs + spacingMs);
    this.#askMs = Math.min(this.#askMs ?? atMs, atMs);
  }

  #spreadMs(): number {
    return spreadMs(this.#options.crowd(), this.#options.random());
  }

  #networkChanged(change: NetworkChange, nowMs: number): void {
    if (this.#leaving !== null) {
      if (change === "elsewhere") this.#end(this.#leaving);
      return;
    }
    this.#retries.reset();
    if (change !== "same") this.#depart(change);
    this.#askInDoubt({ certain: change !== "same", why: ELSEWHERE }, nowMs);
  }

  /** What is there is of the network before; at the same router it is taken away, as far as that lets us. */
  #depart(change: "moved" | "elsewhere"): void {
    if (this.#pending === "check") this.#pending = null;
    if (this.#pending !== null) this.#stale = change;
    const there = this.#undo?.held ?? (this.#foreign ? null : (this.#holding?.held ?? null));
    this.#undo = change === "moved" && there !== null ? { held: there, why: null, tried: false } : null;
    this.#foreign = this.#holding !== null;
    this.#remains = null;
    this.#checks.stop();
  }

  #routerBack(nowMs: number): void {
    // What it asks for now it may have asked for a moment too soon.
    if (this.#pending === "ask") this.#isBack = true;
    else if (this.#why !== null && !isNo(this.#why.kind)) this.#askSoon(nowMs);
  }

  #siblingLost(nowMs: number): void {
    if (this.#holding === null || this.#foreign) return;
    const atMs = nowMs + this.#spreadMs();
    if (!this.#checks.soon(atMs)) this.#askSoon(nowMs, atMs - nowMs);
  }

  #addressSeen(address: string): void {
    const holding = this.#holding;
    if (holding === null || this.#foreign || holding.open.externalAddress === address) return;
    const open = { ...holding.open, externalAddress: address };
    this.#holding = { ...holding, open };
    this.#tell({ kind: "changed", mapping: open, before: holding.open });
  }

  #leave(nowMs: number): void {
    if (this.#leaving !== null) return;
    const holding = this.#foreign ? null : this.#holding;
    const there = [this.#undo?.held, holding?.held, this.#remains].filter((held) => held != null);
    this.#leaving = new Leaving(there, nowMs);
    // Nobody waits for a check. For an answer about the mapping yes: deleted before it, it would be made after it.
    if (this.#pending === "check") this.#pending = null;
  }

  #goOnLeaving(leaving: Leaving, nowMs: number): void {
    const next = leaving.next(this.#pending !== null, nowMs);
    if (next === "over") this.#end(leaving);
    else if (next !== null) this.#request({ kind: "unmap", held: next });
  }

  #end({ left }: Leaving): void {
    const isOpen = left !== null || this.#pending === "ask";
    const news: KeeperNews = { kind: "closed", left: isOpen ? mayStayOpen(this.wish, left, this.#port) : null };
    this.#out.push({ kind: "tell", news });
    this.#isGone = true;
    this.#pending = null;
  }

  #unmapped(failure: RouterFailure | null, nowMs: number): void {
    this.#pending = null;
    const undo = this.#undo;
    const stale = this.#stale;
    this.#stale = null;
    if (this.#leaving !== null) this.#leaving.unmapped(failure, nowMs);
    else if (undo !== null && stale === null) {
      // Two mappings of one wish are one too many. Of another address's the router may refuse to hear from this one.
      const isDone = failure === null || undo.why === null;
      this.#undo = isDone ? null : { ...undo, tried: true };
      const isOurs = undo.held.internalAddress === this.#holding?.held.internalAddress;
      if (failure !== null && isDone && isOurs && !this.#foreign) this.#remains = undo.held;
      if (undo.why !== null) this.#retry(undo.why, nowMs);
    }
  }

  #tellOnce(news: Extract<KeeperNews, { readonly why: RouterFailure }>): void {
    if (this.#toldKind === news.why.kind) return;
    this.#toldKind = news.why.kind;
    this.#tell(news);
  }

  /** Who leaves has one thing more to say, and `#end` says it. */
  #tell(news: KeeperNews): void {
    if (this.#leaving === null) this.#out.push({ kind: "tell", news });
  }
}
