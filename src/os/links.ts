import { classifyAddress, compileCidrs, isIpv6, parseAddress, parseCidr } from "../wire/address.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { CommandError, Follow, Run } from "./command.ts";

/** A network interface. */
export interface Link {
  readonly name: string;
  /** Switched on, and with a carrier. */
  readonly up: boolean;
  readonly addresses: readonly LinkAddress[];
}

export interface LinkAddress {
  readonly address: string;
  readonly family: 4 | 6;
  readonly prefixLength: number;
  /** link: fe80::/10 and the like; host: this machine only. */
  readonly scope: "global" | "link" | "host";
  /** Of IPv6's privacy extensions, or on its way out: not for others to remember. */
  readonly passing: boolean;
}

export interface Links {
  readonly links: readonly Link[];
  /** The interface of the default route that is used; null = there is none. */
  readonly defaultRoute: { readonly v4: string | null; readonly v6: string | null };
}

export interface LinksError {
  readonly kind: CommandError["kind"];
  /** One sentence that says what to do. */
  readonly message: string;
}

/**
 * By `ip`, and not os.networkInterfaces(): that leaves out interfaces without an address, which a gateway's LAN may be
 * (measured: 1.5 ms against 0.05 ms; asked at start and when something changed).
 */
export async function readLinks(run: Run): Promise<Result<Links, LinksError>> {
  const listed = await json(run, ["ip", "-j", "address"]);
  if (!listed.ok) return listed;
  const v4 = await json(run, ["ip", "-j", "-4", "route", "show", "default"]);
  if (!v4.ok) return v4;
  const v6 = await json(run, ["ip", "-j", "-6", "route", "show", "default"]);
  if (!v6.ok) return v6;
  return ok({
    links: listed.value.flatMap(linkOf),
    defaultRoute: { v4: defaultDevice(v4.value), v6: defaultDevice(v6.value) },
  });
}

/** The interface a person named. */
export function findLink({ links }: Links, name: string): Result<Link, string> {
  const found = links.find((link) => link.name === name);
  if (found !== undefined) return ok(found);
  const known = new Intl.ListFormat("en").format(links.map((link) => link.name));
  return err(`There is no interface "${name}"; this machine has ${known}.`);
}

export interface External {
  /** The first global IPv4 address; null = none. */
  readonly address: string | null;
  /** One sentence for the operator when forwards will not work from everywhere; null = they will. */
  readonly warning: string | null;
}

/** What the WAN interface's IPv4 address means for those who want to come in. */
export function externalIpv4({ name, addresses }: Link): External {
  const address = addresses.find(({ family, scope }) => family === 4 && scope === "global")?.address ?? null;
  if (address === null) {
    return { address, warning: `${name} has no IPv4 address: nothing can be forwarded over IPv4 until it has one.` };
  }
  const at = `${name} has the address ${address}`;
  if (isShared(address)) {
    const advice = "ask the provider for a public address, or use a relay";
    return {
      address,
      warning: `${at}, which the provider shares between customers (CGNAT, RFC 6598): forwards only work from inside the provider's network; ${advice}.`,
    };
  }
  switch (classifyAddress(address)) {
    case "public":
      return { address, warning: null };
    case "private":
      return {
        address,
        warning: `${at}, a private one: forwards only work from that network, unless the router in front of it leads the same ports here.`,
      };
    default:
      return {
        address,
        warning: `${at}, which the internet does not route: forwards only work from the same network.`,
      };
  }
}

function isShared(address: string): boolean {
  const shared = parseCidr("100.64.0.0/10");
  return shared.ok && compileCidrs([shared.value]).contains(address);
}

type Fields = Readonly<Record<string, unknown>>;

async function json(run: Run, argv: readonly string[]): Promise<Result<Fields[], LinksError>> {
  const done = await run(argv);
  if (!done.ok) return done;
  const { exitCode, stdout, stderr } = done.value;
  const failed = (why: string): Result<Fields[], LinksError> =>
    err({ kind: "failed", message: `Cannot learn this machine's interfaces: "${argv.join(" ")}" says "${why}".` });
  if (exitCode !== 0) return failed(stderr.trim());
  try {
    // Older ones print nothing where there is nothing.
    const value: unknown = JSON.parse(stdout.trim() === "" ? "[]" : stdout);
    return Array.isArray(value)
      ? ok(value.filter((item) => typeof item === "object" && item !== null))
      : failed(stdout);
  } catch {
    return failed(stdout.slice(0, 100));
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function linkOf({ ifname, flags, addr_info }: Fields): Link[] {
  if (typeof ifname !== "string") return [];
  const up = listOf(flags).includes("UP") && listOf(flags).includes("LOWER_UP");
  return [{ name: ifname, up, addresses: listOf(addr_info).flatMap((info) => addressOf(info as Fields)) }];
}

function addressOf({ local, prefixlen, scope, temporary, deprecated }: Fields): LinkAddress[] {
  const parsed = typeof local === "string" ? parseAddress(local) : null;
  if (!parsed?.ok || typeof prefixlen !== "number") return [];
  return [
    {
      address: parsed.value,
      family: isIpv6(parsed.value) ? 6 : 4,
      prefixLength: prefixlen,
      scope: scope === "link" || scope === "host" ? scope : "global",
      passing: temporary === true || deprecated === true,
    },
  ];
}

/** The lowest metric wins; a route over several ways counts as its first. */
function defaultDevice(routes: readonly Fields[]): string | null {
  const alive = routes.filter(({ flags }) => !listOf(flags).includes("dead"));
  const metric = (route: Fields): number => Number(route["metric"] ?? 0);
  const [best] = alive.toSorted((a, b) => metric(a) - metric(b));
  const device = best?.["dev"] ?? (listOf(best?.["nexthops"])[0] as Fields | undefined)?.["dev"];
  return typeof device === "string" ? device : null;
}

export interface WatchOptions {
  readonly follow: Follow;
  /** Something about interfaces, addresses or routes is other than before: read again. */
  readonly onChange: () => void;
  readonly signal: AbortSignal;
  /** Runs `act` once, later; gives what calls it off. */
  readonly after?: (ms: number, act: () => void) => () => void;
}

/** What one change prints (a cable: a dozen lines, within milliseconds) is told once. */
const SETTLE_MS = 100;
const RESTART_MIN_MS = 250;
const RESTART_MAX_MS = 30_000;

/**
 * Tells of changes until `signal` aborts. One `ip monitor` runs all the time; when it ends it is started again, and what
 * may have happened meanwhile is told as a change: so is each start, because nobody knows when it began to listen.
 */
export async function watchLinks({
  follow,
  onChange,
  signal,
  after = afterTimeout,
}: WatchOptions): Promise<Result<null, LinksError>> {
  let callOff: (() => void) | null = null;
  let heard = false;
  const tell = (): void => {
    callOff ??= after(SETTLE_MS, () => {
      callOff = null;
      if (!signal.aborted) onChange();
    });
  };
  const onLine = (): void => {
    heard = true;
    tell();
  };
  let waitMs = RESTART_MIN_MS;
  for (let first = true; !signal.aborted; first = false) {
    const started = follow(["ip", "monitor", "address", "link", "route"], { signal, onLine });
    if (started.ok) {
      tell();
      await started.value.exited;
    } else if (first) {
      return started;
    }
    // One that worked starts the waiting anew.
    if (heard) waitMs = RESTART_MIN_MS;
    heard = false;
    if (!signal.aborted) await pause(waitMs, signal, after);
    waitMs = Math.min(RESTART_MAX_MS, waitMs * 2);
  }
  (callOff as (() => void) | null)?.();
  return ok(null);
}

function pause(ms: number, signal: AbortSignal, after: NonNullable<WatchOptions["after"]>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      callOff();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const callOff = after(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

function afterTimeout(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}
