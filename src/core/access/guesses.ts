import { addressBytes, sourceKey } from "../../wire/address.ts";
import { Penalties, type PenaltyOptions, SOURCE_PENALTIES } from "../penalty.ts";

/** 1, 2, 4 s and so on up to 10 min, from the first mistake. */
const GROWING: PenaltyOptions = {
  ...SOURCE_PENALTIES,
  baseSec: { noAuth: 0, failed: 1, graceExceeded: 0 },
  minSec: 0,
};
/** The same, but the first five mistakes of a site are free. */
const SITE: PenaltyOptions = { ...GROWING, minSec: 60 };
/** An IPv6 subscriber or site has up to a /48 (RFC 6177), which is 65,536 sources. */
const SITE_BYTES = 6;
const V6_BYTES = 16;

/**
 * Who guesses at passwords and one-time codes. For every try, in this order and with nothing in between: `refusedMs`, and above
 * 0 the password is not looked at; `failed` if it was wrong.
 *
 * Passwords are counted by source, and the source alone is refused. A name that is refused would let anybody lock its owner out,
 * so it never is: a source that did nothing may try any name at once, whoever else is guessing. What a name does earn falls on
 * those who fail at it: each wrong password makes its source wait at least as long as the name's own penalty is then. A thousand
 * addresses have so a thousand tries in ten minutes, not a thousand times ten; the owner at a new place has theirs at once.
 * A penalty is fixed when it is earned: others who go on guessing do not prolong it. An IPv4 neighbour is another source; of
 * IPv6 a whole /48 is watched too, because one attacker has that many. Success forgives nothing, else an own account would wash
 * a source that guesses at another's.
 *
 * One-time codes are counted by person, and refused by person: only who knows the password gets here, and a million codes would
 * else be tried from a thousand places. The owner then signs in with a passkey, is signed in somewhere, or waits.
 */
export class Guesses {
  readonly #sources = new Penalties(GROWING);
  readonly #sites = new Penalties(SITE);
  readonly #names = new Penalties(GROWING);
  readonly #codes = new Penalties(GROWING);

  /** Milliseconds for which this address is not listened to. */
  refusedMs(address: string, nowMs: number): number {
    const site = siteKey(address);
    const siteMs = site === null ? 0 : this.#sites.refusedMs(site, nowMs);
    return Math.max(this.#sources.refusedMs(sourceKey(address), nowMs), siteMs);
  }

  /** A wrong password; returns for how long the address is refused. `name`: as it is found by, of a person or of nobody. */
  failed(address: string, name: string, nowMs: number): number {
    const site = siteKey(address);
    const nameMs = this.#names.offend(name, "failed", nowMs);
    const siteMs = site === null ? 0 : this.#sites.offend(site, "failed", nowMs);
    return Math.max(this.#sources.offend(sourceKey(address), "failed", nowMs, nameMs), siteMs);
  }

  codeRefusedMs(userId: string, nowMs: number): number {
    return this.#codes.refusedMs(userId, nowMs);
  }

  codeFailed(userId: string, nowMs: number): number {
    return this.#codes.offend(userId, "failed", nowMs);
  }
}

function siteKey(address: string): string | null {
  const bytes = addressBytes(address);
  return bytes?.length === V6_BYTES ? bytes.slice(0, SITE_BYTES).join(".") : null;
}
