import type { TriggerRule } from "../../dataplanes/nat/state.ts";
import type { Store } from "../../store/store.ts";
import { formatPortSet, type PortMapping } from "../../wire/port-set.ts";
import { ControlError, type TriggerInfo } from "../control.ts";

export interface GatewayTriggersOptions {
  readonly store: Pick<Store, "triggers">;
  wallMs(): number;
  /** The rules changed: the kernel is to follow. Rejects with ControlError. */
  apply(): Promise<void>;
  warn(message: string): void;
}

type Kept = { readonly rule: TriggerRule; readonly origin: "cli" | "config" };
const MS_PER_SEC = 1000;

/** The port triggers of a gateway: those of the configuration, and those that `trigger add` keeps in the store. */
export class GatewayTriggers {
  readonly #options: GatewayTriggersOptions;
  #configured: readonly TriggerRule[] = [];
  #added = new Map<string, TriggerRule>();

  constructor(options: GatewayTriggersOptions) {
    this.#options = options;
  }

  async restore(configured: readonly TriggerRule[]): Promise<void> {
    const { store, warn } = this.#options;
    this.#added = new Map((await store.triggers.list(warn)).map((rule) => [rule.name, rule]));
    this.configure(configured);
  }

  /** What hatchway.toml lists; an added one of the same name gives way. */
  configure(configured: readonly TriggerRule[]): void {
    this.#configured = configured;
    for (const { name } of configured) {
      if (this.#added.has(name))
        this.#options.warn(`trigger "${name}" of hatchway.toml takes the place of the added one`);
    }
  }

  rules(): TriggerRule[] {
    return this.#kept().map(({ rule }) => rule);
  }

  async add(rule: TriggerRule, actor?: string): Promise<void> {
    this.#refuseConfigured(rule.name);
    const { store, wallMs } = this.#options;
    await this.#change(rule.name, rule, () => store.triggers.put(rule, wallMs(), actor));
  }

  async remove(name: string, actor?: string): Promise<TriggerRule> {
    this.#refuseConfigured(name);
    const rule = this.#added.get(name);
    if (rule === undefined) {
      throw new ControlError("usage", `There is no trigger "${name}": see \`hatchway trigger ls\`.`);
    }
    const { store, wallMs } = this.#options;
    await this.#change(name, null, () => store.triggers.remove(name, wallMs(), actor));
    return rule;
  }

  /** Kernel and store both have it when this resolves; when it rejects, the rules are as they were. */
  async #change(name: string, rule: TriggerRule | null, store: () => Promise<unknown>): Promise<void> {
    const before = this.#added.get(name) ?? null;
    this.#keep(name, rule);
    try {
      await this.#options.apply();
      await store();
    } catch (error) {
      this.#keep(name, before);
      // The first failure is the one to tell; a kernel that refuses this too gets all of it with the next change.
      await this.#options.apply().catch(() => undefined);
      throw error;
    }
  }

  #keep(name: string, rule: TriggerRule | null): void {
    if (rule === null) this.#added.delete(name);
    else this.#added.set(name, rule);
  }

  /** `open`: as the kernel has it. */
  infos(
    open: readonly { readonly name: string; readonly host: string; readonly remainingSec: number }[],
  ): TriggerInfo[] {
    return this.#kept().map(({ rule, origin }) => {
      const opened = open.find(({ name }) => name === rule.name);
      return {
        name: rule.name,
        origin,
        out: portsText(rule.out),
        in: portsText(rule.in),
        timeoutSec: rule.timeoutSec,
        secondHost: rule.secondHost,
        state: opened === undefined ? "armed" : "open",
        host: opened?.host ?? null,
        closesMs: opened === undefined ? null : this.#options.wallMs() + opened.remainingSec * MS_PER_SEC,
      };
    });
  }

  #kept(): Kept[] {
    const names = new Set(this.#configured.map(({ name }) => name));
    return [
      ...this.#configured.map((rule): Kept => ({ rule, origin: "config" })),
      ...[...this.#added.values()]
        .filter(({ name }) => !names.has(name))
        .map((rule): Kept => ({ rule, origin: "cli" })),
    ];
  }

  #refuseConfigured(name: string): void {
    if (this.#configured.some((rule) => rule.name === name)) {
      throw new ControlError("usage", `The trigger "${name}" is in hatchway.toml: change it there.`);
    }
  }
}

/** As a person writes it. */
export function portsText(ports: TriggerRule["in"]): string {
  const ranges = (["tcp", "udp"] as const).flatMap((protocol) =>
    ports[protocol].map(({ first, last }): PortMapping => ({ protocol, first, last, internalFirst: first })),
  );
  return formatPortSet({ ranges });
}
