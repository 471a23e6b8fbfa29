const MS_PER_SEC = 1000;
/** The field on the wire; 136 years. */
const MAX_EPOCH_SEC = 0xffff_ffff;

/**
 * Ten, the first at once, the next 250 ms later, then each wait twice the one before: the last about 128 s after the
 * first (RFC 6886 §3.2.1). RFC 6887 §14.1.3 allows up to ten for PCP, with waits of at least that.
 */
const ANNOUNCEMENTS = 10;
const FIRST_WAIT_MS = 250;

/** What the store keeps with the mappings. Wall-clock time, because a monotonic clock does not outlive the machine. */
export interface SavedEpoch {
  readonly ageMs: number;
  readonly savedAtUnixMs: number;
}

/**
 * The server's epoch, one for NAT-PMP and PCP: the age of the mapping table (RFC 6886 §3.6, RFC 6887 §8.5), by which
 * clients see that their mappings are gone. It goes on when the table was restored, and starts from zero when it was
 * lost or when the external address changed (§8.5 asks for both). Time is a monotonic clock in milliseconds.
 *
 * Every start is announced, because RFC 6886 §3.2.1 says "upon boot"; after a restored one clients find their mappings
 * in order and do nothing. `takeAnnouncement` is true when one is due; it carries `epochSec` as it is then.
 */
export class ServerEpoch {
  #startMs: number;
  #left = 0;
  #waitMs = FIRST_WAIT_MS;
  #deadlineMs: number | null = null;

  private constructor(startMs: number, nowMs: number) {
    this.#startMs = startMs;
    this.#announce(nowMs);
  }

  /** There was no table, or it could not be read: nobody can tell that from a loss. */
  static lost(nowMs: number): ServerEpoch {
    return new ServerEpoch(nowMs, nowMs);
  }

  /**
   * The table is back as it was. The time away counts: clients expect the epoch to have gone on meanwhile. A wall clock
   * that was set back meanwhile counts as no time; at worst clients renew once.
   */
  static restored(saved: SavedEpoch, nowMs: number, unixMs: number): ServerEpoch {
    return new ServerEpoch(nowMs - saved.ageMs - Math.max(0, unixMs - saved.savedAtUnixMs), nowMs);
  }

  save(nowMs: number, unixMs: number): SavedEpoch {
    return { ageMs: Math.max(0, nowMs - this.#startMs), savedAtUnixMs: unixMs };
  }

  epochSec(nowMs: number): number {
    return Math.min(MAX_EPOCH_SEC, Math.max(0, Math.floor((nowMs - this.#startMs) / MS_PER_SEC)));
  }

  /** The mappings are lost, or the external address is another one: counts from zero and announces it, from now on. */
  reset(nowMs: number): void {
    this.#startMs = nowMs;
    this.#announce(nowMs);
  }

  /** When to call `takeAnnouncement`; null = nothing to announce. */
  nextDeadlineMs(): number | null {
    return this.#deadlineMs;
  }

  /** Whether to announce now. The next wait counts from here: a late timer never makes one shorter than twice the last. */
  takeAnnouncement(nowMs: number): boolean {
    if (this.#deadlineMs === null || nowMs < this.#deadlineMs) return false;
    this.#left--;
    this.#deadlineMs = this.#left === 0 ? null : nowMs + this.#waitMs;
    this.#waitMs *= 2;
    return true;
  }

  #announce(nowMs: number): void {
    this.#left = ANNOUNCEMENTS;
    this.#waitMs = FIRST_WAIT_MS;
    this.#deadlineMs = nowMs;
  }
}
