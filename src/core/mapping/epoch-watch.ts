const MS_PER_SEC = 1000;

interface Seen {
  readonly epochSec: number;
  readonly atMs: number;
}

/** Whether an epoch fits the one seen before, `elapsedMs` ago on the client's own clock. */
type EpochRule = (beforeSec: number, epochSec: number, elapsedMs: number) => boolean;

const RULES: Readonly<Record<"natPmp" | "pcp", EpochRule>> = { natPmp: fitsNatPmp, pcp: fitsPcp };

/**
 * The client's side of the epoch: sees from a server's answers and announcements whether it lost its mappings. One for
 * each server and protocol; feed it every packet from there, errors included.
 */
export class EpochWatch {
  readonly #fits: EpochRule;
  #seen: Seen | null = null;

  constructor(protocol: "natPmp" | "pcp") {
    this.#fits = RULES[protocol];
  }

  /** True when the server lost its state: renew every mapping. The first epoch always fits; each becomes the next measure. */
  lostBy(epochSec: number, nowMs: number): boolean {
    const before = this.#seen;
    this.#seen = { epochSec, atMs: nowMs };
    return before !== null && !this.#fits(before.epochSec, epochSec, nowMs - before.atMs);
  }
}

/** RFC 6886 §3.6: at most 2 s below the last epoch plus 7/8 of the time since. One that runs fast is no loss. */
function fitsNatPmp(beforeSec: number, epochSec: number, elapsedMs: number): boolean {
  const expectedSec = beforeSec + (elapsedMs / MS_PER_SEC) * (7 / 8);
  return epochSec >= expectedSec - 2;
}

/**
 * RFC 6887 §8.5: at most 1 s back (packets overtake each other), and both clocks agree within 1/16 and 2 s. In whole
 * seconds, as the RFC computes.
 */
function fitsPcp(beforeSec: number, epochSec: number, elapsedMs: number): boolean {
  if (epochSec < beforeSec - 1) return false;
  const clientDelta = Math.floor(elapsedMs / MS_PER_SEC);
  const serverDelta = epochSec - beforeSec;
  return clientDelta + 2 >= lessSixteenth(serverDelta) && serverDelta + 2 >= lessSixteenth(clientDelta);
}

function lessSixteenth(sec: number): number {
  return sec - Math.trunc(sec / 16);
}
