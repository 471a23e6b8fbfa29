import type { KeeperEvent, NetworkChange } from "../core/router/keeper-model.ts";
import { LadderMemory } from "../core/router/ladder.ts";
import type { Gateway, RouterProtocol } from "../core/router/model.ts";
import { MOST_AT_ONCE } from "../core/router/pace.ts";
import { Slots } from "../core/slots.ts";
import type { RouterAccess } from "./access.ts";
import { RouterLink } from "./router-link.ts";

export interface RoutersOptions {
  readonly access: RouterAccess;
  /** Null = any protocol. */
  readonly only: RouterProtocol | null;
  /** 0..1, evenly. */
  readonly random: () => number;
  readonly nowMs: () => number;
  /** What all mappings of a family are to hear. */
  readonly onEvent: (family: 4 | 6, event: KeeperEvent) => void;
  /** Something failed that cannot. */
  readonly onBroken: (error: unknown) => void;
}

type Link = RouterLink | null;

/** This machine's router for each family, as the routes name it; one box may be both. */
export class Routers {
  readonly #options: RoutersOptions;
  readonly #memory = new LadderMemory();
  readonly #slots = new Slots(MOST_AT_ONCE);
  readonly #ending = new AbortController();
  /** Looked for when somebody needs it first. */
  readonly #links = new Map<4 | 6, Promise<Link>>();
  readonly #open = new Set<RouterLink>();
  #refreshing: Promise<void> | null = null;
  #again = false;

  constructor(options: RoutersOptions) {
    this.#options = options;
  }

  /** Null = there is no router of that family. */
  link(family: 4 | 6): Promise<Link> {
    const known = this.#links.get(family);
    if (known !== undefined) return known;
    const link = this.#find(family).then((gateway) => this.#connect(gateway));
    this.#links.set(family, link);
    return link;
  }

  /** Looks at the routes again, and tells what is another now. Calls while it looks are one more look. */
  refresh(): Promise<void> {
    this.#again = true;
    this.#refreshing ??= this.#refreshAll().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async watch(family: 4 | 6, protocols: ReadonlySet<RouterProtocol>): Promise<void> {
    const link = await this.link(family);
    await link?.watch(protocols);
  }

  close(): void {
    this.#ending.abort();
    for (const link of this.#open) link.close();
  }

  async #refreshAll(): Promise<void> {
    while (this.#again && !this.#ending.signal.aborted) {
      this.#again = false;
      for (const family of [...this.#links.keys()]) await this.#refreshOne(family);
    }
  }

  async #refreshOne(family: 4 | 6): Promise<void> {
    const before = await this.link(family);
    const gateway = await this.#find(family);
    if (this.#ending.signal.aborted) return;
    const change = changeOf(before?.gateway ?? null, gateway);
    if (change !== "same") this.#links.set(family, Promise.resolve(this.#connect(gateway)));
    // Told before the link before is closed: what that calls off is not the new router's answer.
    this.#options.onEvent(family, { kind: "network-changed", change });
    if (change === "same" || before === null) return;
    this.#open.delete(before);
    before.close();
  }

  #find(family: 4 | 6): Promise<Gateway | null> {
    return this.#options.access.gateway(family, this.#ending.signal);
  }

  #connect(gateway: Gateway | null): Link {
    if (gateway === null || this.#ending.signal.aborted) return null;
    const { access, only, random, nowMs, onEvent, onBroken } = this.#options;
    const tell = (event: KeeperEvent) => onEvent(gateway.family, event);
    const link = new RouterLink({
      gateway,
      access,
      only,
      random,
      nowMs,
      memory: this.#memory,
      slots: this.#slots,
      onForgot: () => tell({ kind: "forgot" }),
      onBack: () => tell({ kind: "router-back" }),
      onAddress: (address) => tell({ kind: "address-seen", address }),
      onBroken,
    });
    this.#open.add(link);
    return link;
  }
}

function changeOf(before: Gateway | null, now: Gateway | null): NetworkChange {
  if (before === null || now === null) return before === now ? "same" : "elsewhere";
  if (before.address !== now.address) return "elsewhere";
  // By cable instead of by radio it is another address, and most often the same router.
  return before.ownAddress === now.ownAddress && before.interfaceName === now.interfaceName ? "same" : "moved";
}
