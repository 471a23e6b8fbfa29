import { FLAG, type FrameHead, kindOf } from "../../wire/http2/frames.ts";
import { TokenBucket } from "../token-bucket.ts";

/**
 * How a visitor may behave in HTTP/2, by the frames that it sends. Each rule answers an attack in which a few bytes cost
 * the other side much: requests that are cancelled at once (CVE-2023-44487), heads without end (CVE-2024-27316), and floods
 * of frames that say nothing (CVE-2019-9512 to 9518). Honest clients come nowhere near.
 */
const CONDUCT = {
  /** Requests that are cancelled, or end without an answer: a page that is left cancels what it had asked for. */
  cancels: { perSec: 30, burst: 300 },
  /** SETTINGS and PING want an answer; PRIORITY, GOAWAY, empty DATA and unknown types do nothing. */
  idle: { perSec: 1_000, burst: 2_000 },
  /** A download at a gigabit by windows of 64 KiB takes 8,000. */
  windows: { perSec: 20_000, burst: 20_000 },
  /** Of one head, as HPACK packs it. */
  maxHeadBytes: 32_768,
  maxContinuations: 16,
  /**
   * New requests in one read. A visitor may have a hundred under way, so more can only be there by breaking that; they would
   * be taken up behind each other before anything else has its turn.
   */
  maxHeadsInRead: 200,
} as const;

/** `head`: one without end. `cancels`, `flood`: too many for a while. */
export type Misconduct = "head" | "cancels" | "flood";

export class H2Conduct {
  readonly #cancels: TokenBucket;
  readonly #unanswered: TokenBucket;
  readonly #idle: TokenBucket;
  readonly #windows: TokenBucket;
  #headBytes = 0;
  #continuations = 0;
  #headsInRead = 0;

  constructor(nowMs: number) {
    this.#cancels = new TokenBucket(CONDUCT.cancels.perSec, CONDUCT.cancels.burst, nowMs);
    this.#unanswered = new TokenBucket(CONDUCT.cancels.perSec, CONDUCT.cancels.burst, nowMs);
    this.#idle = new TokenBucket(CONDUCT.idle.perSec, CONDUCT.idle.burst, nowMs);
    this.#windows = new TokenBucket(CONDUCT.windows.perSec, CONDUCT.windows.burst, nowMs);
  }

  /** What follows came in one read. */
  beginRead(): void {
    this.#headsInRead = 0;
  }

  /** Null = go on. */
  frame(head: FrameHead, nowMs: number): Misconduct | null {
    const kind = kindOf(head);
    switch (kind) {
      case "headers":
        this.#headBytes = 0;
        this.#continuations = 0;
        this.#headsInRead += 1;
        if (this.#headsInRead > CONDUCT.maxHeadsInRead) return "flood";
        return this.#headPart(head);
      case "continuation":
        this.#continuations += 1;
        return this.#continuations > CONDUCT.maxContinuations ? "head" : this.#headPart(head);
      case "reset":
        return this.#cancels.take(1, nowMs) ? null : "cancels";
      case "window":
        return this.#windows.take(1, nowMs) ? null : "flood";
      case "data":
        // The last one of a request is often empty.
        return head.payloadBytes > 0 || (head.flags & FLAG.endStream) !== 0 ? null : this.#idleFrame(nowMs);
      case "settings":
      case "ping":
      case "priority":
      case "goaway":
      case "push":
      case "other":
        return this.#idleFrame(nowMs);
      default:
        return kind satisfies never;
    }
  }

  /** A request ended without an answer, also where the visitor made this side end it (CVE-2025-8671). */
  unanswered(nowMs: number): Misconduct | null {
    return this.#unanswered.take(1, nowMs) ? null : "cancels";
  }

  #headPart({ payloadBytes }: FrameHead): Misconduct | null {
    this.#headBytes += payloadBytes;
    return this.#headBytes > CONDUCT.maxHeadBytes ? "head" : null;
  }

  #idleFrame(nowMs: number): Misconduct | null {
    return this.#idle.take(1, nowMs) ? null : "flood";
  }
}
