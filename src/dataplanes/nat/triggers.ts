import { PROTOCOLS } from "../../core/port-spans.ts";
import { ok, type Result } from "../../wire/result.ts";
import { triggerNames } from "./names.ts";
import type { Nft } from "./nft.ts";
import type { NatError, NatForward, NatSettings, OpenTrigger, TriggerRule } from "./state.ts";

interface Seen {
  readonly rule: TriggerRule;
  readonly host: string;
}

/** Sees which triggers are open, and which have closed since it last looked. */
export class TriggerWatch {
  readonly #nft: Nft;
  #seen: ReadonlyMap<string, Seen> = new Map();

  constructor(nft: Nft) {
    this.#nft = nft;
  }

  /** `closed`: what was open, as forwards, so that its connections can be forgotten (the kernel lets them no further already). */
  async look(
    settings: NatSettings,
  ): Promise<Result<{ readonly open: readonly OpenTrigger[]; readonly closed: readonly NatForward[] }, NatError>> {
    const open: OpenTrigger[] = [];
    const seen = new Map<string, Seen>();
    for (const rule of settings.triggers) {
      const listed = await this.#nft.dynamicMap(triggerNames(rule).owner);
      if (!listed.ok) return listed;
      const owner = listed.value[0];
      if (owner?.data == null) continue;
      open.push({ name: rule.name, host: owner.data, remainingSec: owner.expiresSec ?? rule.timeoutSec });
      seen.set(rule.name, { rule, host: owner.data });
    }
    const closed = [...this.#seen].flatMap(([name, { rule, host }]) =>
      seen.get(name)?.host === host ? [] : forwardsOf(rule, host),
    );
    this.#seen = seen;
    return ok({ open, closed });
  }
}

function forwardsOf(rule: TriggerRule, host: string): NatForward[] {
  return PROTOCOLS.flatMap((protocol) =>
    rule.in[protocol].map(({ first, last }) => ({
      kind: "forward" as const,
      id: `trigger ${rule.name}`,
      protocol,
      first,
      last,
      to: host,
      internalFirst: first,
      allow: [],
      deny: [],
      limits: null,
    })),
  );
}
