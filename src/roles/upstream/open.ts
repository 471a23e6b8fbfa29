import type { UpstreamSpec } from "../../core/forward.ts";
import type { KeptPort } from "../../core/router/keeper-model.ts";
import { ROUTER_PROTOCOLS, type RouterProtocol } from "../../core/router/model.ts";
import { planWishes } from "../../core/router/plan.ts";
import { type PortWish, wishKey } from "../../core/router/wish.ts";
import { monotonicMs, nowMs as systemWallMs } from "../../os/clock.ts";
import { areaLogger } from "../../os/log.ts";
import { type After, after as systemAfter } from "../../os/timers.ts";
import type { RouterAccess } from "../../router/access.ts";
import { type KeptMappings, type KeptNews, keepMappings } from "../../router/keep.ts";
import { readNetwork, watchNetwork } from "../../router/network.ts";
import { type SystemAccessOptions, systemAccess } from "../../router/system-access.ts";
import type { RouterName } from "../control.ts";
import { descriptionFor } from "./description.ts";
import type { OpenUpstream, UpstreamForward, UpstreamState } from "./forward.ts";
import { gatewaysOf } from "./gateway.ts";
import { RouterLog } from "./log.ts";
import { stateOf } from "./state.ts";

export interface UpstreamMeans {
  /** Hears of what came in a router's place and did not count. Default: one of its own. */
  readonly log?: RouterLog;
  /** Default: this machine's real routers. */
  readonly access?: (options: SystemAccessOptions) => RouterAccess;
  /** Monotonic. Default: the system's, as the two below. */
  readonly nowMs?: () => number;
  readonly wallMs?: () => number;
  readonly after?: After;
  /** Hears of what failed and cannot: nothing is kept any more. Default: it is logged. */
  readonly onFault?: (error: unknown) => void;
}

/** Opens upstream mappings. Those of one router, asked in the same way, are kept together. */
export function upstreamOpener(means: UpstreamMeans = {}): OpenUpstream {
  const keeps = new Map<string, Keep>();
  return (spec, changed) => {
    const key = JSON.stringify([spec.gateway, spec.only]);
    let keep = keeps.get(key);
    if (keep === undefined) {
      keep = new Keep(spec, means, () => keeps.delete(key));
      keeps.set(key, keep);
    }
    return keep.open(spec, changed);
  };
}

/** One set of mappings at one router, for as long as there is a forward in it. */
class Keep {
  readonly #forwards = new Set<Forward>();
  readonly #ended = new AbortController();
  readonly #kept: KeptMappings;
  /** Resolves when everything is taken away. A fault of the program's ends nobody else's forwards. */
  readonly #gone: Promise<void>;
  readonly #routers = new Map<string, RouterName>();
  /** Hear of each mapping that is closed, by its wish. */
  readonly #closing = new Set<(key: string) => void>();
  readonly #onEmpty: () => void;
  readonly #nowMs: () => number;
  readonly #wallMs: () => number;

  constructor({ gateway, only }: UpstreamSpec, means: UpstreamMeans, onEmpty: () => void) {
    const {
      access = systemAccess,
      nowMs = monotonicMs,
      wallMs = systemWallMs,
      after = systemAfter,
      onFault = logFault,
      log = new RouterLog(),
    } = means;
    const { signal } = this.#ended;
    this.#onEmpty = onEmpty;
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    this.#kept = keepMappings({
      wishes: [],
      access: access({
        gateways: async (looking) => gatewaysOf(await readNetwork(looking), gateway),
        allowed: protocolsOf(only),
        onIgnored: log.onIgnored,
        onDeaf: log.onDeaf,
        onFound: ({ protocol, result }, { family, address }) => {
          if (!result.ok) return;
          const { model, name } = result.value.identity;
          this.#routers.set(`${protocol} ${family}`, { protocol, address, model: model ?? name });
        },
      }),
      // Both versions of UPnP count as one choice: the access knows what may be asked.
      only: only === "igd" ? null : only,
      random: Math.random,
      nowMs,
      after,
      signal,
      onNews: (news) => this.#hear(news),
    });
    this.#gone = this.#kept.ended.catch(onFault);
    void this.#watch(signal);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const first = await readNetwork(signal);
    watchNetwork(
      (news) => {
        if (news.why === "woke") this.#kept.resumed(news.sleptMs);
        this.#kept.networkChanged();
      },
      signal,
      { first },
    );
  }

  open(spec: UpstreamSpec, changed: () => void): UpstreamForward {
    const forward = new Forward(spec, changed, this);
    this.#forwards.add(forward);
    this.#apply();
    forward.look();
    return forward;
  }

  /** Resolves when the router has nothing of the forward's any more, or the time for that is over. */
  async leave(forward: Forward): Promise<void> {
    if (!this.#forwards.delete(forward)) return;
    if (this.#forwards.size > 0) {
      // What another forward wants as well stays; what was in another's way was never asked for.
      const kept = this.snapshot().filter(({ state }) => state.kind !== "refused");
      const going = kept.map(({ wish }) => wishKey(wish)).filter((key) => forward.has(key) && !this.#isWanted(key));
      const gone = this.#closed(new Set(going));
      this.#apply();
      await gone;
      return;
    }
    this.#onEmpty();
    this.#ended.abort();
    await this.#gone;
  }

  #apply(): void {
    this.#kept.set([...this.#forwards].flatMap(({ wishes }) => wishes));
  }

  #hear({ wish, news }: KeptNews): void {
    const key = wishKey(wish);
    for (const forward of this.#forwards) if (forward.has(key)) forward.look();
    if (news.kind === "closed") for (const closed of [...this.#closing]) closed(key);
  }

  #isWanted(key: string): boolean {
    return [...this.#forwards].some((forward) => forward.has(key));
  }

  /** Resolves when the keeper is done with all of them: it gives itself LEAVE_MS. */
  #closed(keys: Set<string>): Promise<void> {
    const done = Promise.withResolvers<void>();
    const closed = (key: string) => {
      keys.delete(key);
      if (keys.size === 0) done.resolve();
    };
    if (keys.size === 0) done.resolve();
    this.#closing.add(closed);
    return done.promise.finally(() => this.#closing.delete(closed));
  }

  snapshot(): readonly KeptPort[] {
    return this.#kept.snapshot();
  }

  /** From the keeper's clock to the clock of day. */
  wallOf(ms: number): number {
    return Math.round(ms + this.#wallMs() - this.#nowMs());
  }

  routerOf(via: RouterProtocol, family: 4 | 6): RouterName | null {
    return this.#routers.get(`${via} ${family}`) ?? null;
  }
}

function logFault(error: unknown): void {
  areaLogger("router").error("mappings could not be kept: {error}", { error: String(error) });
}

class Forward implements UpstreamForward {
  readonly spec: UpstreamSpec;
  readonly wishes: readonly PortWish[];
  readonly #keys: ReadonlySet<string>;
  readonly #changed: () => void;
  readonly #keep: Keep;
  readonly #settled = Promise.withResolvers<void>();
  #state: UpstreamState;
  #wasOpen = false;
  #ending: Promise<void> | null = null;

  constructor(spec: UpstreamSpec, changed: () => void, keep: Keep) {
    this.spec = spec;
    this.#changed = changed;
    this.#keep = keep;
    const planned = planWishes({
      ports: spec.ports,
      families: spec.families === "both" ? [4, 6] : [spec.families === "ipv4" ? 4 : 6],
      host: spec.to,
      samePort: spec.samePort,
      lifetimeSec: spec.lifetimeSec,
      description: descriptionFor(spec.name),
    });
    this.wishes = planned.ok ? planned.value : [];
    this.#keys = new Set(this.wishes.map(wishKey));
    this.#state = planned.ok
      ? { kind: "asking" }
      : { kind: "refused", why: "usage", failure: null, message: planned.error };
    if (!planned.ok) this.#settled.resolve();
  }

  get state(): UpstreamState {
    return this.#state;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Looks at what is kept, and tells when the forward is something else than before. */
  look(): void {
    if (this.wishes.length === 0 || this.#ending !== null) return;
    const kept = this.#keep.snapshot().filter(({ wish }) => this.#keys.has(wishKey(wish)));
    this.#state = stateOf({
      kept,
      wasOpen: this.#wasOpen,
      routerOf: (via, family) => this.#keep.routerOf(via, family),
      wallOf: (ms) => this.#keep.wallOf(ms),
    });
    if (this.#state.kind === "open") this.#wasOpen = true;
    if (this.#state.kind !== "asking") this.#settled.resolve();
    this.#changed();
  }

  settled(): Promise<void> {
    return this.#settled.promise;
  }

  end(): Promise<void> {
    this.#ending ??= this.#keep.leave(this);
    // Who waits for an answer that cannot come any more goes on.
    this.#settled.resolve();
    return this.#ending;
  }
}

function protocolsOf(only: UpstreamSpec["only"]): readonly RouterProtocol[] {
  if (only === null) return ROUTER_PROTOCOLS;
  return only === "igd" ? ["igd2", "igd1"] : [only];
}
