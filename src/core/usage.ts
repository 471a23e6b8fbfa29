import type { EntrySpec } from "./forward.ts";
import type { HeldForward, Owner } from "./held.ts";

/** What quotas count. A port of a range counts as one; tcp and udp count apart. */
export interface Usage {
  readonly forwards: number;
  readonly ports: number;
}

export interface OwnerUsage {
  readonly account: Usage;
  readonly device: Usage;
}

const NONE: Usage = { forwards: 0, ports: 0 };

/** Running totals per account and per device, so that a quota check does not walk the table. */
export class UsageCounts {
  readonly #accounts = new Map<string, Usage>();
  readonly #devices = new Map<string, Usage>();

  add(forward: HeldForward<EntrySpec>): void {
    move(this.#accounts, forward.owner.account, 1, forward.external.count);
    move(this.#devices, forward.owner.device, 1, forward.external.count);
  }

  subtract(forward: HeldForward<EntrySpec>): void {
    move(this.#accounts, forward.owner.account, -1, -forward.external.count);
    move(this.#devices, forward.owner.device, -1, -forward.external.count);
  }

  of(owner: Owner, except: HeldForward<EntrySpec> | null): OwnerUsage {
    const account = this.#accounts.get(owner.account) ?? NONE;
    const device = this.#devices.get(owner.device) ?? NONE;
    return {
      account: except?.owner.account === owner.account ? without(account, except) : account,
      device: except?.owner.device === owner.device ? without(device, except) : device,
    };
  }
}

function without(usage: Usage, forward: HeldForward<EntrySpec>): Usage {
  return { forwards: usage.forwards - 1, ports: usage.ports - forward.external.count };
}

function move(totals: Map<string, Usage>, key: string, forwards: number, ports: number): void {
  const usage = totals.get(key) ?? NONE;
  const moved = { forwards: usage.forwards + forwards, ports: usage.ports + ports };
  if (moved.forwards === 0) totals.delete(key);
  else totals.set(key, moved);
}
