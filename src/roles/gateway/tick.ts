import type { MappingBook } from "../../core/mapping/book.ts";
import type { GatewayAlignment } from "./alignment.ts";
import type { GatewayKernel } from "./helper/kernel.ts";
import type { GatewayMappings } from "./mappings.ts";
import type { Surroundings } from "./surroundings.ts";
import type { GatewayTriggers } from "./triggers.ts";
import type { GatewayVpn } from "./vpn.ts";

export interface GatewayTickOptions {
  readonly book: Pick<MappingBook, "nextDeadlineMs">;
  readonly mappings: Pick<GatewayMappings, "expire">;
  readonly triggers: Pick<GatewayTriggers, "rules">;
  readonly plane: Pick<GatewayKernel["plane"], "openTriggers">;
  readonly vpn: Pick<GatewayVpn, "expired" | "apply" | "look">;
  readonly around: Pick<Surroundings, "isTime" | "lookForFirewalls">;
  readonly alignment: Pick<GatewayAlignment, "applyRules" | "followNetwork">;
  nowMs(): number;
  onFailure(error: unknown): void;
}

const TICK_MS = 250;
/** A process for each trigger at each look. */
const TRIGGERS_MS = 2_000;

/** What a gateway does because time passes: it ends what is over, and looks whether the world is another one. */
export class GatewayTick {
  readonly #options: GatewayTickOptions;
  #running = false;
  #triggersReadMs = 0;

  constructor(options: GatewayTickOptions) {
    this.#options = options;
  }

  start(signal: AbortSignal): void {
    const timer = setInterval(() => void this.#tick(), TICK_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  async #tick(): Promise<void> {
    // The one before may take longer than that.
    if (this.#running) return;
    this.#running = true;
    try {
      await this.#lookAtAll();
    } catch (error) {
      this.#options.onFailure(error);
    } finally {
      this.#running = false;
    }
  }

  async #lookAtAll(): Promise<void> {
    const { book, mappings, vpn, around, alignment, nowMs } = this.#options;
    if ((book.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs()) await mappings.expire();
    if (vpn.expired()) {
      await vpn.apply();
      await alignment.applyRules();
    }
    if (around.isTime()) await alignment.followNetwork();
    await this.#lookAtTriggers();
    await vpn.look(nowMs());
    await around.lookForFirewalls("when it is time");
  }

  /** A trigger that has closed lets nothing through any more; what is left of its connections goes when it is looked at. */
  async #lookAtTriggers(): Promise<void> {
    const { triggers, plane, nowMs } = this.#options;
    const at = nowMs();
    if (triggers.rules().length === 0 || at - this.#triggersReadMs < TRIGGERS_MS) return;
    this.#triggersReadMs = at;
    await plane.openTriggers();
  }
}
