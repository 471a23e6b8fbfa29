/** Who holds which name. Those who share one are in the order in which they came. */
export class NameIndex<H> {
  readonly #byName = new Map<string, readonly H[]>();

  at(name: string): readonly H[] {
    return this.#byName.get(name) ?? [];
  }

  add(names: readonly string[], holder: H): void {
    for (const name of names) this.#byName.set(name, [...this.at(name), holder]);
  }

  delete(names: readonly string[], holder: H): void {
    for (const name of names) {
      const left = this.at(name).filter((one) => one !== holder);
      if (left.length === 0) this.#byName.delete(name);
      else this.#byName.set(name, left);
    }
  }
}
