import { leaseEndMs } from "../lease.ts";
import type { HeldGrant, KeeperNews, OpenMapping } from "./keeper-model.ts";

/** RFC 6887 §11.2.1: renewals of one mapping are at least this far apart, however soon the lease ends. */
export const MIN_RENEWAL_SPACING_MS = 4000;
const MS_PER_SEC = 1000;

/** A mapping that the router granted: what it takes to keep it, and what people see of it. */
export interface Holding {
  readonly held: HeldGrant;
  readonly open: OpenMapping;
  /** Of the last grant, or longer ago when the clock stood still. */
  readonly grantedMs: number;
  /** The next attempt to renew it, from 1. */
  readonly attempt: number;
}

/** What was just granted; `before`: what it continues. */
export function hold(held: HeldGrant, before: Holding | null, nowMs: number): Holding {
  const { grant, via, internalAddress } = held;
  const open: OpenMapping = {
    externalAddress: grant.externalAddress ?? before?.open.externalAddress ?? null,
    externalPort: grant.externalPort,
    internalAddress,
    via,
    sinceMs: before?.open.sinceMs ?? nowMs,
    endsMs: leaseEndMs(grant.lifetimeSec, nowMs),
  };
  return { held, open, grantedMs: nowMs, attempt: 1 };
}

/** The machine slept: the lease ran on. */
export function afterSleep(holding: Holding, sleptMs: number): Holding {
  const { open, grantedMs } = holding;
  if (open.endsMs === null) return holding;
  return { ...holding, grantedMs: grantedMs - sleptMs, open: { ...open, endsMs: open.endsMs - sleptMs } };
}

/**
 * When to renew it; null = it is permanent. RFC 6887 §11.2.1: between 1/2 and 5/8 of the lease, then from 3/4, 7/8 and
 * so on, each time with half the jitter: what was granted together is not renewed together. NAT-PMP: at half of it, as
 * DHCP does (RFC 6886 §3.3). `random` in 0..1.
 */
export function renewalAtMs({ held, grantedMs, attempt }: Holding, random: number): number | null {
  const { lifetimeSec } = held.grant;
  if (lifetimeSec === null) return null;
  const left = 2 ** -attempt;
  const jitter = held.via === "nat-pmp" ? 0 : (random * left) / 4;
  return grantedMs + lifetimeSec * MS_PER_SEC * (1 - left + jitter);
}

/** What the world hears of a grant. */
export function newsOf(before: OpenMapping | null, mapping: OpenMapping): KeeperNews {
  if (before === null) return { kind: "opened", mapping };
  const same = before.externalPort === mapping.externalPort && before.externalAddress === mapping.externalAddress;
  return same ? { kind: "renewed", mapping } : { kind: "changed", mapping, before };
}
