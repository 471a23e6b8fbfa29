import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";

/** What this machine did with packets for others before a gateway was started on it: what to put back. */
export interface ForwardingState {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /**
   * `accept_ra` of each WAN interface (ip-sysctl: 0 never, 1 unless it forwards, 2 always). A machine that forwards IPv6
   * ignores router advertisements unless it is 2, and would lose its own address and default route.
   */
  readonly acceptRa: Readonly<Record<string, number>>;
}

export interface ForwardingOptions {
  readonly wan: readonly string[];
  /** False: IPv6 stays as it is. */
  readonly ipv6: boolean;
  /** Default /proc/sys/net. */
  readonly root?: string;
}

export interface ForwardingError {
  readonly kind: "permission" | "unsupported" | "failed";
  /** One sentence that says what to do. */
  readonly message: string;
  readonly cause: unknown;
}

const ROOT = "/proc/sys/net";
const IPV4 = "ipv4/ip_forward";
const IPV6 = "ipv6/conf/all/forwarding";
const IPV6_INTERFACES = "ipv6/conf";
const acceptRaPath = (name: string): string => join(IPV6_INTERFACES, name, "accept_ra");
const ALWAYS_ACCEPT_RA = 2;

/** A kernel without IPv6 does not forward it. */
export function readForwarding({ wan, root = ROOT }: ForwardingOptions): Result<ForwardingState, ForwardingError> {
  return attempt(root, () => {
    const v6Interfaces = hasIpv6(root) ? new Set(readdirSync(join(root, IPV6_INTERFACES))) : new Set<string>();
    return {
      ipv4: read(root, IPV4) === 1,
      ipv6: v6Interfaces.size > 0 && read(root, IPV6) !== 0,
      acceptRa: Object.fromEntries(
        wan.filter((name) => v6Interfaces.has(name)).map((name) => [name, read(root, acceptRaPath(name))]),
      ),
    };
  });
}

/**
 * Makes this machine forward; resolves to what was before, for `restoreForwarding`. Router advertisements of a WAN that
 * took them go on being taken: that is set first, because a change of `forwarding` drops the routes they made.
 */
export function enableForwarding(options: ForwardingOptions): Result<ForwardingState, ForwardingError> {
  const { root = ROOT } = options;
  const before = readForwarding(options);
  if (!before.ok) return before;
  const { ipv4, ipv6, acceptRa } = before.value;
  const done = attempt(root, () => {
    if (!ipv4) write(root, IPV4, 1);
    if (!options.ipv6) return;
    for (const [name, value] of Object.entries(acceptRa)) {
      if (value === 1 && !ipv6) write(root, acceptRaPath(name), ALWAYS_ACCEPT_RA);
    }
    if (!ipv6 && hasIpv6(root)) write(root, IPV6, 1);
  });
  return done.ok ? before : done;
}

/** Puts back what `enableForwarding` changed. An interface that is gone meanwhile has nothing to put back. */
export function restoreForwarding(before: ForwardingState, root = ROOT): Result<null, ForwardingError> {
  return attempt(root, () => {
    if (read(root, IPV4) !== Number(before.ipv4)) write(root, IPV4, Number(before.ipv4));
    if (!hasIpv6(root)) return null;
    if ((read(root, IPV6) !== 0) !== before.ipv6) write(root, IPV6, Number(before.ipv6));
    const present = new Set(readdirSync(join(root, IPV6_INTERFACES)));
    for (const [name, value] of Object.entries(before.acceptRa)) {
      if (present.has(name) && read(root, acceptRaPath(name)) !== value) write(root, acceptRaPath(name), value);
    }
    return null;
  });
}

function hasIpv6(root: string): boolean {
  try {
    readFileSync(join(root, IPV6));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function read(root: string, path: string): number {
  return Number(readFileSync(join(root, path), "utf8").trim());
}

function write(root: string, path: string, value: number): void {
  writeFileSync(join(root, path), `${value}\n`);
}

/** Classifies an errno once. */
function attempt<T>(root: string, act: () => T): Result<T, ForwardingError> {
  try {
    return ok(act());
  } catch (cause) {
    const { code, path } = cause as NodeJS.ErrnoException;
    const setting = (path ?? root).replace("/proc/sys/", "").replaceAll("/", ".");
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
      const message = `Let the gateway change ${setting}, or set it to 1 yourself (sysctl -w ${setting}=1): the system does not allow it.`;
      return err({ kind: "permission", message, cause });
    }
    if (code === "ENOENT") {
      return err({ kind: "unsupported", message: `This system cannot forward packets: it has no ${setting}.`, cause });
    }
    const detail = cause instanceof Error ? cause.message : String(cause);
    return err({ kind: "failed", message: `Cannot make this machine forward packets: ${detail}.`, cause });
  }
}
