import { trimOldest } from "../../core/bounded-map.ts";
import { crc32 } from "../../wire/crc32.ts";

/** UniqueID is a ui2; 0 looks to some clients like nothing. */
const FIRST = 1;
const COUNT = 0xffff;
/** A quarter of the numbers, so that a free one is near. Gateways have some hundred pinholes. */
const MAX_REMEMBERED = 16_384;

/**
 * The UniqueIDs by which IGD's clients name pinholes. Each is made from the desk's own id, so that it is most likely the
 * same again after a restart; where two ids would have the same number, the later one gets the next free number.
 */
export class PinholeNumbers {
  readonly #ids = new Map<number, string>();
  readonly #numbers = new Map<string, number>();
  readonly #most: number;

  /** `most`: how many are remembered; the oldest is forgotten for a new one. */
  constructor(most = MAX_REMEMBERED) {
    this.#most = most;
  }

  of(id: string): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    let number = FIRST + (crc32(new TextEncoder().encode(id)) % COUNT);
    while (this.#ids.has(number)) number = number === COUNT ? FIRST : number + 1;
    this.#ids.set(number, id);
    this.#numbers.set(id, number);
    trimOldest(this.#ids, this.#most);
    trimOldest(this.#numbers, this.#most);
    return number;
  }

  /** The pinhole is gone: its number is free. */
  forget(id: string): void {
    const number = this.#numbers.get(id);
    this.#numbers.delete(id);
    if (number !== undefined) this.#ids.delete(number);
  }
}
