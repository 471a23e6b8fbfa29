import { messageOf } from "../../os/errors.ts";
import { interfaceNames } from "../../os/interfaces.ts";
import type { Logger } from "../../os/log.ts";
import type { ReloadReport } from "../control.ts";
import { V } from "../views.ts";
import type { GatewayAlignment } from "./alignment.ts";
import { settingsChanges, settingsFor } from "./changes.ts";
import { type FixedView, fixedSpecs, type OpeningView } from "./fixed.ts";
import { refuseIncomplete, refuseUnfit } from "./interfaces.ts";
import type { FixedReport } from "./mappings.ts";
import type { GatewayNews } from "./news.ts";
import type { GatewaySettings } from "./settings.ts";
import type { Surroundings } from "./surroundings.ts";
import type { GatewayTriggers } from "./triggers.ts";

export interface GatewayReloadOptions {
  readonly view: FixedView & OpeningView & { readonly triggers: GatewayTriggers };
  readonly around: Surroundings;
  readonly news: GatewayNews;
  readonly alignment: GatewayAlignment;
  readSettings(): Promise<GatewaySettings>;
  /** In force now. */
  settings(): GatewaySettings;
  /** They are in force from now on, for whoever asks; what was made of the former ones is as it was. */
  use(settings: GatewaySettings): void;
  readonly log: Logger;
}

/** What a gateway makes of settings that were read again. */
export class GatewayReload {
  readonly #options: GatewayReloadOptions;

  constructor(options: GatewayReloadOptions) {
    this.#options = options;
  }

  /** One that fails changes nothing. Rejects with ControlError. */
  async run(): Promise<ReloadReport> {
    const { view, around, news, readSettings } = this.#options;
    const read = await readSettings();
    const before = this.#options.settings();
    const { changed, needRestart, triggers } = settingsChanges(before, read);
    const next = settingsFor(before, read);
    refuseIncomplete(next, view.vpn.interfaceName !== null);
    // One that is gone for a while (PPPoE) was there once.
    refuseUnfit(next, [...interfaceNames(), ...before.wan, ...before.lan], view.vpn.interfaceName);
    // What may fail goes first.
    await news.follow(next, view.vpn.interfaceName ?? "");
    let report: FixedReport;
    try {
      report = await this.#take(next);
    } catch (error) {
      await this.#takeBack(before);
      throw error;
    }
    // Whoever has just done what a warning said wants to see it gone.
    await around.lookForFirewalls("now");
    const named = (names: readonly string[]) => names.map((name) => `trigger "${name}"`);
    return {
      ...V,
      added: [...report.added, ...named(triggers.added)],
      changed: [...report.changed, ...named(triggers.changed), ...changed],
      removed: [...report.removed, ...named(triggers.removed)],
      unchanged: view.book.size - report.added.length - report.changed.length,
      refused: report.refused,
      needRestart,
    };
  }

  /** Rejects with ControlError when the kernel does not take it. */
  async #take(settings: GatewaySettings): Promise<FixedReport> {
    const { view, around, alignment, use } = this.#options;
    use(settings);
    around.lookAgain();
    await alignment.keepForwarding();
    const refused: string[] = [];
    const fixed = await fixedSpecs(view, settings.mappings, (sentence) => refused.push(sentence));
    const report = await view.mappings.setFixed(fixed, "config");
    view.triggers.configure(settings.triggers);
    alignment.applyServers();
    await alignment.applyRules();
    return { ...report, refused: [...refused, ...report.refused] };
  }

  /** The first failure is the one to tell; what cannot be taken back now goes to the kernel with the next change. */
  async #takeBack(before: GatewaySettings): Promise<void> {
    const { view, news, log } = this.#options;
    const failed = (error: unknown) => log.error("{error}", { error: messageOf(error) });
    await news.follow(before, view.vpn.interfaceName ?? "").catch(failed);
    await this.#take(before).catch(failed);
  }
}
