import type { HealthCheck } from "./forward.ts";

/** `unknown` = not probed yet: it serves, because a service that was never seen to fail is not refused. */
export type HealthStatus = "unknown" | "healthy" | "unhealthy";

export interface Health {
  readonly status: HealthStatus;
  /** Failures in a row. */
  readonly failures: number;
  /** When to start the next probe. */
  readonly nextProbeMs: number;
}

/** The first probe comes within a second, spread so that 1,000 forwards do not probe at once. */
const FIRST_PROBE_SPREAD_MS = 1000;

/** Later probes vary by ± 10 % around the interval. */
const INTERVAL_SPREAD = 0.2;

/** `jitter` in 0..1. */
export function startHealth(nowMs: number, jitter: number): Health {
  return { status: "unknown", failures: 0, nextProbeMs: nowMs + jitter * FIRST_PROBE_SPREAD_MS };
}

/** The outcome of a probe: `check.failures` in a row make it unhealthy, one success makes it healthy. `jitter` in 0..1. */
export function probed(health: Health, check: HealthCheck, success: boolean, nowMs: number, jitter: number): Health {
  const nextProbeMs = nowMs + check.intervalSec * 1000 * (1 - INTERVAL_SPREAD / 2 + INTERVAL_SPREAD * jitter);
  if (success) return { status: "healthy", failures: 0, nextProbeMs };
  const failures = health.failures + 1;
  return { status: failures >= check.failures ? "unhealthy" : health.status, failures, nextProbeMs };
}

/** Whether visits may be sent there. */
export function serves(health: Health): boolean {
  return health.status !== "unhealthy";
}
