import { readFileSync } from "node:fs";

/** capabilities(7), by their numbers in linux/capability.h. */
const NUMBERS = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_ADMIN: 12,
} as const;
export type Capability = keyof typeof NUMBERS;

/**
 * Those of `needed` that this process does not have: root in a container or a systemd unit has only some. None where the
 * system does not say. `status`: proc_pid_status(5).
 */
export function missingCapabilities(needed: readonly Capability[], status = ownStatus()): Capability[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return [];
  const held = BigInt(`0x${effective}`);
  return needed.filter((name) => (held & (1n << BigInt(NUMBERS[name]))) === 0n);
}

function ownStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}
