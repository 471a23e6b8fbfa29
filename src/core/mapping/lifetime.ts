import { PcpResult, type PcpResultCode } from "../../wire/pcp/message.ts";

const SEC_PER_MINUTE = 60;
const SEC_PER_DAY = 24 * 60 * 60;

export interface LifetimeLimits {
  readonly minSec: number;
  readonly maxSec: number;
}

/**
 * RFC 6886 §3.3 recommends 7,200 s, and that a gateway grant no more than was asked for: no minimum. What a client
 * forgets to delete is gone within the recommended time.
 */
export const NAT_PMP_LIFETIME: LifetimeLimits = { minSec: 1, maxSec: 7200 };

/** RFC 6887 §15 recommends both: 120 s and 24 hours. */
export const PCP_LIFETIME: LifetimeLimits = { minSec: 120, maxSec: SEC_PER_DAY };

/** Seconds that a NAT-PMP or PCP request gets; null = it asks to delete (RFC 6886 §3.4, RFC 6887 §15.1). */
export function grantedLifetimeSec(requestedSec: number, limits: LifetimeLimits): number | null {
  if (requestedSec === 0) return null;
  return Math.min(limits.maxSec, Math.max(limits.minSec, requestedSec));
}

/** WANIPConnection:2, PortMappingLeaseDuration: a week is the most, and what 0 means. */
const IGD2_MAX_SEC = 604_800;

/** Seconds that an AddPortMapping gets; null = permanent, which is 0 in WANIPConnection:1. */
export function igdLifetimeSec(version: 1 | 2, requestedSec: number): number | null {
  if (version === 1) return requestedSec === 0 ? null : requestedSec;
  return requestedSec === 0 || requestedSec > IGD2_MAX_SEC ? IGD2_MAX_SEC : requestedSec;
}

/** RFC 6887 §7.4: how long a client should keep from asking the same again. */
const LONG_ERROR_SEC = 30 * SEC_PER_MINUTE;
const SHORT_ERROR_SEC = 30;

/** RFC 6887 §7.4. */
const SHORT_ERRORS: ReadonlySet<PcpResultCode> = new Set([
  PcpResult.networkFailure,
  PcpResult.noResources,
  PcpResult.userExceededQuota,
]);

/**
 * The lifetime in a PCP answer with an error. `heldForSec`: what is left of the lease of the mapping that stands in the
 * way, when one does (RFC 6887 §7.4 on CANNOT_PROVIDE_EXTERNAL: it depends; §11.3 on another's nonce). It may be
 * renewed or end early, so nobody is sent away for longer than a long error, nor called back before a short one.
 */
export function pcpErrorLifetimeSec(resultCode: PcpResultCode, heldForSec: number | null = null): number {
  if (SHORT_ERRORS.has(resultCode)) return SHORT_ERROR_SEC;
  if (heldForSec === null) return LONG_ERROR_SEC;
  return Math.min(LONG_ERROR_SEC, Math.max(SHORT_ERROR_SEC, Math.ceil(heldForSec)));
}
