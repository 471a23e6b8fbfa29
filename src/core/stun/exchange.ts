import type { Endpoint } from "../../wire/endpoint.ts";
import { attributeOf, decodeStun, type StunMessage } from "../../wire/stun/message.ts";
import { bindingRequest, type ChangeWish } from "./request.ts";

/** RFC 8489 §6.2.1, with its own names: RTO, Rc and Rm. */
export interface StunTiming {
  /** Until the second request; the wait doubles each time. */
  readonly rtoMs: number;
  readonly requests: number;
  /** After the last request, in RTOs. */
  readonly lastWaitRtos: number;
  /** Between the starts of two transactions: RFC 5780 §5 allows ten a second. */
  readonly paceMs: number;
}

/** Requests at 0, 0.5 and 1.5 s, and an end at 3 s, where the RFC's own figures end at 39.5 s: a person waits for it. */
export const STUN_TIMING: StunTiming = { rtoMs: 500, requests: 3, lastWaitRtos: 3, paceMs: 100 };

/** Of the client's, each with a port of its own. */
export type StunSocketName = "first" | "second";

/** One question to a server. `K` names it. */
export interface StunAsk<K> {
  readonly key: K;
  /** It is asked from there, and hears the answer there. */
  readonly socket: StunSocketName;
  readonly to: Endpoint;
  readonly change: ChangeWish;
  /** An answer from anywhere else is none. Port null = any. */
  readonly answersFrom: readonly { readonly address: string; readonly port: number | null }[];
}

export type StunOutcome =
  | {
      readonly kind: "success";
      readonly from: Endpoint;
      /** What the server saw. */
      readonly mapped: Endpoint;
      readonly origin: Endpoint | null;
      readonly other: Endpoint | null;
      /** Null when it was asked more than once: which of the requests was answered is not known. */
      readonly rttMs: number | null;
    }
  | { readonly kind: "error"; readonly from: Endpoint; readonly code: number }
  | { readonly kind: "silence" };

export interface StunSend {
  readonly socket: StunSocketName;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

/** Datagrams that came and were not taken. */
export interface StunIgnored {
  /** Not STUN, or nothing that a client gets. */
  readonly unreadable: number;
  /** Of no transaction of this client's: forged. */
  readonly unknown: number;
  /** To a question that is over: it was asked more than once and is answered as often, or the answer is too late. */
  readonly late: number;
  /** The right transaction, from an address or port that was not asked, or at another socket. */
  readonly foreign: number;
}

interface Transaction<K> {
  readonly ask: StunAsk<K>;
  readonly bytes: Uint8Array;
  sent: number;
  firstSentMs: number;
  nextMs: number;
}

/** The client's open transactions: what to send when, and which answer belongs to what. */
export class StunExchange<K> {
  readonly #timing: StunTiming;
  readonly #newTransactionId: () => string;
  readonly #open = new Map<string, Transaction<K>>();
  /** A discovery asks a few questions, and then is over. */
  readonly #over = new Set<string>();
  readonly #ignored = { unreadable: 0, unknown: 0, late: 0, foreign: 0 };
  #lastStartMs = Number.NEGATIVE_INFINITY;

  /** `newTransactionId`: 24 hexadecimal digits that nobody can guess. */
  constructor(timing: StunTiming, newTransactionId: () => string) {
    this.#timing = timing;
    this.#newTransactionId = newTransactionId;
  }

  get size(): number {
    return this.#open.size;
  }

  get ignored(): StunIgnored {
    return { ...this.#ignored };
  }

  /** Its first request is due now, or a little later when another was just begun. */
  ask(ask: StunAsk<K>, nowMs: number): void {
    const startMs = Math.max(nowMs, this.#lastStartMs + this.#timing.paceMs);
    this.#lastStartMs = startMs;
    const id = this.#newTransactionId();
    const bytes = bindingRequest(id, ask.change);
    this.#open.set(id, { ask, bytes, sent: 0, firstSentMs: startMs, nextMs: startMs });
  }

  /** Its answer does not matter any more. */
  cancel(key: K): void {
    for (const [id, { ask }] of this.#open) if (ask.key === key) this.#end(id);
  }

  nextDeadlineMs(): number | null {
    const times = [...this.#open.values()].map(({ nextMs }) => nextMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** What is to be sent now, and who did not answer in time. */
  due(nowMs: number): { readonly sends: readonly StunSend[]; readonly silent: readonly K[] } {
    const { rtoMs, requests, lastWaitRtos } = this.#timing;
    const sends: StunSend[] = [];
    const silent: K[] = [];
    for (const [id, transaction] of this.#open) {
      if (transaction.nextMs > nowMs) continue;
      if (transaction.sent === requests) {
        this.#end(id);
        silent.push(transaction.ask.key);
        continue;
      }
      if (transaction.sent === 0) transaction.firstSentMs = nowMs;
      const waitRtos = ++transaction.sent === requests ? lastWaitRtos : 2 ** (transaction.sent - 1);
      transaction.nextMs = nowMs + waitRtos * rtoMs;
      const { socket, to } = transaction.ask;
      sends.push({ socket, to, bytes: transaction.bytes });
    }
    return { sends, silent };
  }

  /** The answer to a question, which is over with it; null when the datagram is none. */
  onDatagram(
    bytes: Uint8Array,
    from: Endpoint,
    socket: StunSocketName,
    nowMs: number,
  ): { readonly key: K; readonly outcome: StunOutcome } | null {
    const decoded = decodeStun(bytes);
    const outcome = decoded.ok ? outcomeOf(decoded.value, from) : null;
    if (!decoded.ok || outcome === null) {
      this.#ignored.unreadable++;
      return null;
    }
    const { transactionId } = decoded.value;
    const transaction = this.#open.get(transactionId);
    if (transaction === undefined || transaction.sent === 0) {
      this.#ignored[this.#over.has(transactionId) ? "late" : "unknown"]++;
      return null;
    }
    const { ask, sent, firstSentMs } = transaction;
    const isAsked = ask.answersFrom.some(
      ({ address, port }) => address === from.address && (port ?? from.port) === from.port,
    );
    if (!isAsked || ask.socket !== socket) {
      this.#ignored.foreign++;
      return null;
    }
    this.#end(transactionId);
    const rttMs = sent === 1 ? nowMs - firstSentMs : null;
    return { key: ask.key, outcome: outcome.kind === "success" ? { ...outcome, rttMs } : outcome };
  }

  #end(id: string): void {
    this.#open.delete(id);
    this.#over.add(id);
  }
}

/** Null = it is no answer, or lacks what an answer is for. */
function outcomeOf(message: StunMessage, from: Endpoint): StunOutcome | null {
  switch (message.kind) {
    case "success": {
      const mapped = attributeOf(message, "xor-mapped-address") ?? attributeOf(message, "mapped-address");
      if (mapped === null) return null;
      const origin = attributeOf(message, "response-origin")?.endpoint ?? null;
      const other = attributeOf(message, "other-address")?.endpoint ?? null;
      return { kind: "success", from, mapped: mapped.endpoint, origin, other, rttMs: null };
    }
    case "error": {
      const error = attributeOf(message, "error-code");
      return error === null ? null : { kind: "error", from, code: error.code };
    }
    case "request":
    case "indication":
      return null;
    default:
      return message.kind satisfies never;
  }
}
