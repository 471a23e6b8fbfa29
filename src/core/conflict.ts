import type { Protocol } from "../wire/port-set.ts";
import { sameExternal } from "./external-ports.ts";
import type { EntrySpec } from "./forward.ts";
import type { HeldForward } from "./held.ts";
import { formatRemaining } from "./lease.ts";
import type { Refusal } from "./refusal.ts";

/** Somebody else holds an entry port that was asked for. */
export interface Conflict extends Refusal {
  readonly kind: "conflict";
  /** The lowest port, or the name, that is taken. */
  readonly taken: TakenPort | string;
  readonly holder: HeldForward<EntrySpec>;
  /** Milliseconds until the holder's lease ends; null while its device is connected, or when it is permanent. */
  readonly remainingMs: number | null;
}

export interface TakenPort {
  readonly protocol: Protocol;
  readonly port: number;
}

export interface ConflictFacts {
  readonly taken: TakenPort | string;
  readonly asked: HeldForward<EntrySpec>;
  readonly holder: HeldForward<EntrySpec>;
  /** As sentences call it: `device "attic"`. */
  readonly holderName: string;
  readonly holderConnected: boolean;
  readonly leaseEndMs: number | null;
  readonly nowMs: number;
}

export function conflictWith(facts: ConflictFacts): Conflict {
  const { taken, holder } = facts;
  const remainingMs = facts.leaseEndMs === null ? null : Math.max(0, facts.leaseEndMs - facts.nowMs);
  const what = typeof taken === "string" ? `The name ${taken}` : `Port ${taken.port}/${taken.protocol}`;
  const message = `${what} is ${held(facts, remainingMs)}; ${advice(facts, remainingMs)}.`;
  return { kind: "conflict", message, taken, holder, remainingMs };
}

function held(facts: ConflictFacts, remainingMs: number | null): string {
  if (facts.asked.owner.device === facts.holder.owner.device) {
    return `already used by this device's forward "${facts.holder.spec.name}"`;
  }
  if (facts.holderConnected) return `held by ${facts.holderName}, which is connected`;
  if (remainingMs === null) return `reserved for good for ${facts.holderName}`;
  return `reserved for ${facts.holderName} for another ${formatRemaining(remainingMs)}`;
}

function advice(facts: ConflictFacts, remainingMs: number | null): string {
  const { asked, holder, taken } = facts;
  const [another, things] = typeof taken === "string" ? ["another name", "names"] : ["another port", "external ports"];
  if (asked.owner.account !== holder.owner.account) {
    return remainingMs === null ? `choose ${another}` : `choose ${another}, or try again then`;
  }
  if (asked.spec.group !== null && asked.spec.group === holder.spec.group) {
    return `give both forwards of group "${asked.spec.group}" the same ${things}`;
  }
  if (sameExternal(asked.external, holder.external)) {
    return `choose ${another}, remove that forward, or give both the same group to share it`;
  }
  return `choose ${another}, or remove that forward`;
}
