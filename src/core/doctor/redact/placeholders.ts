/** What a value is: the word that stands for it, with a number. */
export type Kind = "address" | "host" | "device" | "forward" | "name" | "id" | "key" | "mac" | "path";

/** Values that were replaced, each by `kind-N`: the same value by the same, so that what was equal still looks equal. */
export class Placeholders {
  readonly #numbers = new Map<string, string>();
  readonly #counts = new Map<Kind, number>();

  /** `value`: in a form in which equal ones are equal (canonical addresses, names in lower case). */
  for(kind: Kind, value: string): string {
    const key = `${kind}\u0000${value}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const made = `${kind}-${count}`;
    this.#numbers.set(key, made);
    return made;
  }
}
