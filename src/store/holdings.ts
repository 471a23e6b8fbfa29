import type { Origin, RemoteSpec } from "../core/forward.ts";
import { putForward, removeForward } from "./forwards.ts";
import { dropExpired, grantPorts, type LeaseClaim, type LeaseConflict, releasePorts, setExpiry } from "./leases.ts";
import type { Db } from "./schema.ts";
import { namesHeld, tellNames } from "./site-audit.ts";

/** One step in what devices hold: a forward and its ports, written or forgotten together. */
export type HoldingChange =
  | {
      readonly kind: "hold";
      readonly spec: RemoteSpec;
      /** See StoredForward. */
      readonly target: string | null;
      readonly origin: Origin;
      readonly claim: LeaseClaim;
      /** For the audit log; absent = the device itself. */
      readonly actor?: string;
    }
  /** `actor`: who gave it back; absent = the relay, for the device. */
  | { readonly kind: "release"; readonly deviceId: string; readonly forwardId: string; readonly actor?: string }
  /** When the ports of a device's forwards are free again; null = not running out. */
  | { readonly kind: "expiry"; readonly deviceId: string; readonly ends: ReadonlyMap<string, number | null> };

export interface Holdings {
  /**
   * Carries the changes out in their order, in one transaction: however many they are, the disk is waited for once, and
   * either all of them are on it or none. Answers for each: null, or the conflict that kept this one (only) from being written.
   */
  apply(changes: readonly HoldingChange[], nowMs: number): Promise<(LeaseConflict | null)[]>;
}

export function holdingsOn(db: Db): Holdings {
  return {
    apply: (changes, nowMs) =>
      db.transaction().execute(async (trx) => {
        await dropExpired(trx, nowMs);
        const outcomes: (LeaseConflict | null)[] = [];
        for (const change of changes) outcomes.push(await applyOne(trx, change, nowMs));
        return outcomes;
      }),
  };
}

async function applyOne(trx: Db, change: HoldingChange, nowMs: number): Promise<LeaseConflict | null> {
  switch (change.kind) {
    case "hold": {
      const granted = await grantPorts(trx, change.claim, nowMs, change.actor);
      if (!granted.ok) return granted.error;
      const { spec, target, origin, actor } = change;
      const holder = { deviceId: change.claim.deviceId, forwardId: spec.id, ...(actor === undefined ? {} : { actor }) };
      const before = await namesHeld(trx, holder);
      await putForward(trx, { deviceId: change.claim.deviceId, spec, target, origin }, nowMs);
      await tellNames(trx, holder, before, spec.site, nowMs);
      return null;
    }
    case "release":
      await tellNames(trx, change, await namesHeld(trx, change), undefined, nowMs);
      await removeForward(trx, change.deviceId, change.forwardId);
      await releasePorts(trx, change.deviceId, change.forwardId, nowMs, change.actor);
      return null;
    case "expiry":
      await setExpiry(trx, change.deviceId, change.ends);
      return null;
    default:
      return change satisfies never;
  }
}
