import { setYoungest, trimOldest } from "../bounded-map.ts";

/** Addresses remembered: a client's second try comes within seconds, so old ones are worth nothing. About 0.5 MB. */
const DEFAULT_MAX_ADDRESSES = 4096;
/** The tries of one client, by RFC 8489 §6.2.1, are at most 16 s apart; the first ones, which count, 0.5 and 1 s. */
const KEEP_MS = 20_000;
/** A little more than the longest answer: what is saved beyond it would only make bursts. */
const MAX_CREDIT_BYTES = 128;

interface Entry {
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * How many bytes more each address has sent than it was sent back. An address that nobody proved may be somebody else's:
 * whoever answers within this sends it no more than it (or who pretends to be it) sent, in all and at any time. What is
 * forgotten counts as nothing, so neither a full table nor time makes it more.
 */
export class ByteCredit {
  readonly #entries = new Map<string, Entry>();
  readonly #maxAddresses: number;

  constructor(maxAddresses = DEFAULT_MAX_ADDRESSES) {
    this.#maxAddresses = maxAddresses;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** `bytes` came in from `address`. Returns what may go back now, these included. */
  received(address: string, bytes: number, nowMs: number): number {
    const before = this.#entries.get(address);
    const kept = before !== undefined && nowMs - before.atMs <= KEEP_MS ? before.bytes : 0;
    const available = kept + bytes;
    this.#set(address, Math.min(available, MAX_CREDIT_BYTES), nowMs);
    return available;
  }

  /** `bytes` went back: no more than `received` allowed. */
  sent(address: string, bytes: number, nowMs: number): void {
    this.#set(address, (this.#entries.get(address)?.bytes ?? 0) - bytes, nowMs);
  }

  #set(address: string, bytes: number, atMs: number): void {
    if (bytes <= 0) {
      this.#entries.delete(address);
      return;
    }
    setYoungest(this.#entries, address, { bytes, atMs });
    trimOldest(this.#entries, this.#maxAddresses);
  }
}
