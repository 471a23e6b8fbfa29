import { Shaper } from "../../dataplanes/io/shaper.ts";
import type { Account } from "../../store/accounts.ts";

/** The bandwidth of the accounts that have a limit: of all that their forwards carry together. */
export class AccountRates {
  readonly #shapers = new Map<string, Shaper>();

  /** Null = no limit. */
  of(accountId: string): Shaper | null {
    return this.#shapers.get(accountId) ?? null;
  }

  /** Visitors who are there already go by a rate that is another; by a first one those who come from now on. */
  set({ id, quotaBandwidth }: Pick<Account, "id" | "quotaBandwidth">): void {
    const present = this.#shapers.get(id);
    if (present !== undefined) present.setRate(quotaBandwidth);
    else if (quotaBandwidth !== null) this.#shapers.set(id, new Shaper(quotaBandwidth));
  }
}
