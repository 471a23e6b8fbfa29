import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";
import { messageOf } from "./errors.ts";

/** What this machine did with packets for others before a gateway was started on it: what to put back. */
export interface ForwardingState {
  readonly ipv4: boolean;
  /** Null: the kernel has no IPv6, or the gateway leaves it alone. */
  readonly ipv6: boolean | null;
  /** Settings that change with these, by their path in /proc/sys/net. */
  readonly along: Readonly<Record<string, number>>;
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
/** A machine that begins to forward IPv4 stops taking redirects, and the other way round (inet_forward_change). */
const REDIRECTS = "ipv4/conf/all/accept_redirects";
/** ip-sysctl: 0 never, 1 unless it forwards, 2 always. */
const ACCEPT_RA = { unlessForwarding: 1, always: 2 } as const;
const acceptRaPath = (name: string): string => `ipv6/conf/${name}/accept_ra`;

export function readForwarding(options: ForwardingOptions): Result<ForwardingState, ForwardingError> {
  const { root = ROOT } = options;
  return attempt(root, () => {
    const ipv6 = options.ipv6 && existsSync(join(root, IPV6)) ? read(root, IPV6) !== 0 : null;
    // Each interface has a `forwarding` of its own, and `all` overwrites every one.
    const along = [REDIRECTS, ...interfaceSettings(root, "ipv4")];
    if (ipv6 !== null) along.push(...interfaceSettings(root, "ipv6"), ...options.wan.map(acceptRaPath));
    const present = along.filter((path) => existsSync(join(root, path)));
    return {
      ipv4: read(root, IPV4) === 1,
      ipv6,
      along: Object.fromEntries(present.map((path) => [path, read(root, path)])),
    };
  });
}

/**
 * Makes this machine forward, and says what was before, for `restoreForwarding`. A machine that forwards IPv6 ignores
 * router advertisements, and forgets the routes it has from them, unless its WAN's accept_ra is 2 by then.
 *
 * `known`: what an earlier call said. A WAN interface that was made anew since (PPPoE dials in again) begins with the
 * system's default and is made to listen too, if this machine listened before it forwarded; what it had is added.
 */
export function enableForwarding(
  options: ForwardingOptions,
  known: ForwardingState | null = null,
): Result<ForwardingState, ForwardingError> {
  const { root = ROOT, wan } = options;
  const now = readForwarding(options);
  if (!now.ok) return now;
  const before = known ?? now.value;
  return attempt(root, () => {
    const made: Record<string, number> = {};
    if (!now.value.ipv4) write(root, IPV4, 1);
    if (before.ipv6 === false || now.value.ipv6 === false) {
      for (const path of wan.map(acceptRaPath)) {
        if (now.value.along[path] !== ACCEPT_RA.unlessForwarding) continue;
        write(root, path, ACCEPT_RA.always);
        made[path] = ACCEPT_RA.unlessForwarding;
      }
    }
    if (now.value.ipv6 === false) write(root, IPV6, 1);
    return { ...before, along: { ...before.along, ...made } };
  });
}

/** Puts back what `enableForwarding` changed. An interface that is gone meanwhile has nothing to put back. */
export function restoreForwarding(before: ForwardingState, root = ROOT): Result<null, ForwardingError> {
  return attempt(root, () => {
    const put = (path: string, value: number): void => {
      if (existsSync(join(root, path)) && read(root, path) !== value) write(root, path, value);
    };
    put(IPV4, Number(before.ipv4));
    if (before.ipv6 !== null) put(IPV6, Number(before.ipv6));
    for (const [path, value] of Object.entries(before.along)) put(path, value);
    return null;
  });
}

function interfaceSettings(root: string, family: "ipv4" | "ipv6"): string[] {
  const folder = `${family}/conf`;
  if (!existsSync(join(root, folder))) return [];
  const names = readdirSync(join(root, folder)).filter((name) => name !== "all");
  return names.map((name) => `${folder}/${name}/forwarding`);
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
    switch (code) {
      case "EACCES":
      case "EPERM":
      case "EROFS": {
        const message = `Let the gateway change ${setting}, or set it yourself with sysctl: the system does not allow it.`;
        return err({ kind: "permission", message, cause });
      }
      case "ENOENT":
        return err({
          kind: "unsupported",
          message: `This system cannot forward packets: it has no ${setting}.`,
          cause,
        });
      default: {
        const detail = messageOf(cause);
        return err({ kind: "failed", message: `Cannot make this machine forward packets: ${detail}.`, cause });
      }
    }
  }
}
