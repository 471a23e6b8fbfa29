import { areaLogger } from "../../os/log.ts";
import type { SystemAccessOptions } from "../../router/system-access.ts";
import type { IgnoredCount } from "../control.ts";

/**
 * What came for the router client and does not count: all of it is counted, and each reason is logged once, however many
 * probes and routers it came to. And what cannot be heard.
 */
export class RouterLog implements Pick<SystemAccessOptions, "onIgnored" | "onDeaf"> {
  readonly #log = areaLogger("router");
  readonly #counts = new Map<string, IgnoredCount>();

  readonly onIgnored: SystemAccessOptions["onIgnored"] = (protocol, reason, from) => {
    const key = `${protocol} ${reason}`;
    const count = (this.#counts.get(key)?.count ?? 0) + 1;
    this.#counts.set(key, { protocol, reason, count });
    if (count === 1)
      this.#log.info("{protocol}: something from {from} is ignored: {reason}", { protocol, from, reason });
  };

  readonly onDeaf: SystemAccessOptions["onDeaf"] = (message) => this.#log.info("{message}", { message });

  /** In the order in which they came first. */
  get ignored(): readonly IgnoredCount[] {
    return [...this.#counts.values()];
  }
}
