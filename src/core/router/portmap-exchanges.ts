import { asksEnd, keyOf, matchOf, type PortMapAnswer, type PortMapQuestion, saysEnd } from "./portmap-talk.ts";

/** RFC 6886 §3.1, each wait twice the one before. PCP's own 3 s (RFC 6887 §8.1.1) would leave one try within the limits here. */
const FIRST_WAIT_MS = 250;
/** Small routers do one request after another, and have room for few: a range's ports wait their turn here. */
const UNDER_WAY = 4;
/**
 * After an error of the system (nothing listens there, no way there) the question is sent once more, and the second error
 * is believed: an error may belong to a datagram of before, and be told again (seen on Bun 1.4.5: twice).
 */
const ERROR_WAIT_MS = 100;
/** How long an answer to a question that was asked twice may come twice. */
const ECHO_MS = 10_000;
const MAX_ECHOES = 64;

export type ExchangeAction =
  /** Send the question of that number, for the first time or again. */
  | { readonly kind: "send"; readonly id: number }
  | { readonly kind: "answered"; readonly id: number; readonly answer: PortMapAnswer }
  | { readonly kind: "failed"; readonly id: number; readonly why: "silent" | "error" }
  /** other-nonce: an answer to a question that was asked, from somebody who did not see it. unasked: to none. */
  | { readonly kind: "ignored"; readonly reason: "other-nonce" | "unasked" };

interface Asked {
  readonly id: number;
  readonly key: string;
  readonly question: PortMapQuestion;
  /** From its first sending on. */
  readonly limitMs: number;
}

interface UnderWay extends Asked {
  readonly startMs: number;
  nextMs: number;
  waitMs: number;
  /** Of the first error; null = there was none. */
  errorMs: number | null;
}

/**
 * The questions to one server: when to send each of them again, which of them an answer belongs to, and when to give up.
 * The numbers are the caller's, each used once. Time is monotonic.
 */
export class PortMapExchanges {
  readonly #jitter: () => number;
  readonly #underWay = new Map<number, UnderWay>();
  #waiting: Asked[] = [];
  /** Questions that ended of late: an answer to one is no stranger's. */
  #echoes: { readonly question: PortMapQuestion; readonly untilMs: number }[] = [];
  #heardMs = Number.NEGATIVE_INFINITY;

  /** `jitter`: -0.1 to 0.1, the RAND of RFC 6887 §8.1.1, by which waits differ so that clients do not keep in step. */
  constructor(jitter: () => number) {
    this.#jitter = jitter;
  }

  ask(id: number, question: PortMapQuestion, limitMs: number, nowMs: number): ExchangeAction[] {
    this.#waiting.push({ id, key: keyOf(question), question, limitMs });
    return this.#startNext(nowMs);
  }

  /** Nobody wants the answer any more. */
  callOff(id: number, nowMs: number): ExchangeAction[] {
    this.#waiting = this.#waiting.filter((one) => one.id !== id);
    const one = this.#underWay.get(id);
    if (one !== undefined) this.#end(one, nowMs);
    return this.#startNext(nowMs);
  }

  onAnswer(answer: PortMapAnswer, nowMs: number): ExchangeAction[] {
    const actions: ExchangeAction[] = [];
    let otherNonce = false;
    // More than one when it says that a protocol is not spoken.
    for (const one of [...this.#underWay.values()]) {
      const match = matchOf(one.question, answer);
      otherNonce ||= match === "other-nonce";
      if (match !== "yes" || this.#isLateEnd(one.question, answer, nowMs)) continue;
      this.#end(one, nowMs);
      actions.push({ kind: "answered", id: one.id, answer });
    }
    if (actions.length > 0) {
      this.#heardMs = nowMs;
      return [...actions, ...this.#startNext(nowMs)];
    }
    if (this.#isEcho(answer, nowMs)) return [];
    return [{ kind: "ignored", reason: otherNonce ? "other-nonce" : "unasked" }];
  }

  /** The system says that what was sent did not arrive. */
  onError(nowMs: number): ExchangeAction[] {
    for (const one of this.#underWay.values()) {
      if (one.errorMs === null) {
        one.errorMs = nowMs;
        one.nextMs = nowMs + ERROR_WAIT_MS;
      } else if (nowMs - one.errorMs >= ERROR_WAIT_MS) return this.#failAll("error", nowMs);
    }
    return [];
  }

  /** Null = there is nothing to wait for. */
  nextDeadlineMs(): number | null {
    if (this.#underWay.size === 0) return null;
    return Math.min(...[...this.#underWay.values()].map((one) => Math.min(one.nextMs, one.startMs + one.limitMs)));
  }

  onTime(nowMs: number): ExchangeAction[] {
    const actions: ExchangeAction[] = [];
    for (const one of [...this.#underWay.values()]) {
      if (nowMs - one.startMs >= one.limitMs) {
        // Nobody has heard of it since: whatever waits would wait in vain, each for as long again.
        if (this.#heardMs < one.startMs) return [...actions, ...this.#failAll("silent", nowMs)];
        this.#end(one, nowMs);
        actions.push({ kind: "failed", id: one.id, why: "silent" });
      } else if (nowMs >= one.nextMs) {
        this.#schedule(one, nowMs);
        actions.push({ kind: "send", id: one.id });
      }
    }
    return [...actions, ...this.#startNext(nowMs)];
  }

  #startNext(nowMs: number): ExchangeAction[] {
    const actions: ExchangeAction[] = [];
    const busy = new Set([...this.#underWay.values()].map(({ key }) => key));
    const waiting: Asked[] = [];
    for (const asked of this.#waiting) {
      if (this.#underWay.size >= UNDER_WAY || busy.has(asked.key)) {
        // Those behind it with the same key stay behind it.
        busy.add(asked.key);
        waiting.push(asked);
        continue;
      }
      const one: UnderWay = { ...asked, startMs: nowMs, nextMs: nowMs, waitMs: FIRST_WAIT_MS, errorMs: null };
      this.#schedule(one, nowMs);
      this.#underWay.set(one.id, one);
      busy.add(one.key);
      actions.push({ kind: "send", id: one.id });
    }
    this.#waiting = waiting;
    return actions;
  }

  #schedule(one: UnderWay, nowMs: number): void {
    one.nextMs = nowMs + one.waitMs * (1 + this.#jitter());
    one.waitMs *= 2;
  }

  #end(one: UnderWay, nowMs: number): void {
    this.#underWay.delete(one.id);
    this.#echoes.push({ question: one.question, untilMs: nowMs + ECHO_MS });
    if (this.#echoes.length > MAX_ECHOES) this.#echoes.shift();
  }

  #failAll(why: "silent" | "error", nowMs: number): ExchangeAction[] {
    const underWay = [...this.#underWay.values()];
    const all = [...underWay, ...this.#waiting];
    for (const one of underWay) this.#end(one, nowMs);
    this.#waiting = [];
    return all.map(({ id }) => ({ kind: "failed", id, why }));
  }

  #isEcho(answer: PortMapAnswer, nowMs: number, isMeant = (_question: PortMapQuestion): boolean => true): boolean {
    return this.#echoes.some(
      ({ question, untilMs }) => nowMs < untilMs && isMeant(question) && matchOf(question, answer) === "yes",
    );
  }

  /** An end that was asked for twice is said twice: the second time maybe to who asks for the mapping anew. */
  #isLateEnd(question: PortMapQuestion, answer: PortMapAnswer, nowMs: number): boolean {
    return saysEnd(answer) && !asksEnd(question) && this.#isEcho(answer, nowMs, asksEnd);
  }
}
