import { readFileSync } from "node:fs";
import { endianness, platform } from "node:os";
import { ok, type Result } from "../wire/result.ts";
import { decodeBsdRoutes, decodeIfconfigTemporaries } from "../wire/routes/bsd.ts";
import {
  decodeLinuxAddresses6,
  decodeLinuxRoutes4,
  decodeLinuxRoutes6,
  type LinuxAddress6,
} from "../wire/routes/linux.ts";
import type { DefaultRoute } from "../wire/routes/route.ts";
import { decodeWindowsRoutes4, decodeWindowsRoutes6 } from "../wire/routes/windows.ts";
import { type CommandError, type CommandOutput, runCommand } from "./command.ts";
import { errorCode, messageOf } from "./errors.ts";
import { type OwnAddress, ownAddresses } from "./interfaces.ts";

/** An address of this machine, with what the system tells of how long it lasts. */
export interface LastingAddress extends OwnAddress {
  /** IPv6, RFC 8981: it goes within days. False where the system does not tell. */
  readonly temporary: boolean;
  /** Neither deprecated, nor still to be confirmed, nor another machine's. True where the system does not tell. */
  readonly steady: boolean;
}

export interface RoutesAndAddresses {
  readonly routes: readonly DefaultRoute[];
  readonly addresses: readonly LastingAddress[];
  /** Why there may be more than is seen here: one sentence. Null = all was read. */
  readonly problem: string | null;
}

export interface RoutesOptions {
  readonly signal: AbortSignal;
  /** Default: this system's. */
  readonly system?: NodeJS.Platform;
  /** Linux; default /proc/net. */
  readonly root?: string;
  /** Elsewhere: how the system's own programs are run. */
  readonly run?: (argv: readonly string[]) => Promise<Result<CommandOutput, CommandError>>;
}

/** On a machine that works each of them ends within 100 ms. */
const TIMEOUT_MS = 3_000;
const PROC_NET = "/proc/net";

/** Whether a look at the routes costs next to nothing (Linux: 0.7 ms) or starts programs. */
export function routesAreFiles(system = platform()): boolean {
  return system === "linux" || system === "android";
}

/** The default routes and the addresses of this machine as they are now. It never rejects, and ends within seconds. */
export async function readRoutes(options: RoutesOptions): Promise<RoutesAndAddresses> {
  const { signal, system = platform() } = options;
  const own = ownAddresses();
  if (routesAreFiles(system)) return fromFiles(options.root ?? PROC_NET, own);
  const run = options.run ?? ((argv) => runCommand(argv, { timeoutMs: TIMEOUT_MS, signal }));
  return system === "win32" ? fromWindows(run, own) : fromBsd(run, own, system === "darwin");
}

function fromFiles(root: string, own: readonly OwnAddress[]): RoutesAndAddresses {
  const problems: string[] = [];
  const read = (name: string): string => {
    try {
      return readFileSync(`${root}/${name}`, "utf8");
    } catch (error) {
      // A kernel without IPv6, or without IPv4.
      if (errorCode(error) !== "ENOENT") problems.push(`${root}/${name} cannot be read: ${messageOf(error)}.`);
      return "";
    }
  };
  const routes = [
    ...decodeLinuxRoutes4(read("route"), endianness() === "LE"),
    ...decodeLinuxRoutes6(read("ipv6_route")),
  ];
  const flags = new Map<string, LinuxAddress6>();
  for (const one of decodeLinuxAddresses6(read("if_inet6"))) flags.set(`${one.interfaceName} ${one.address}`, one);
  const addresses = own.map((one) => {
    const known = flags.get(`${one.interfaceName} ${one.address}`);
    return { ...one, temporary: known?.temporary ?? false, steady: known?.steady ?? true };
  });
  return { routes, addresses, problem: problems[0] ?? null };
}

type RunProgram = NonNullable<RoutesOptions["run"]>;

async function fromBsd(run: RunProgram, own: readonly OwnAddress[], hasScopes: boolean): Promise<RoutesAndAddresses> {
  const [inet, inet6, ifconfig] = await Promise.all([
    output(run, ["netstat", "-rn", "-f", "inet"]),
    output(run, ["netstat", "-rn", "-f", "inet6"]),
    hasScopes ? output(run, ["ifconfig"]) : ok(""),
  ]);
  const temporaries = new Set(ifconfig.ok ? decodeIfconfigTemporaries(ifconfig.value) : []);
  return {
    routes: [...(inet.ok ? decodeBsdRoutes(inet.value, 4) : []), ...(inet6.ok ? decodeBsdRoutes(inet6.value, 6) : [])],
    addresses: own.map((one) => ({ ...one, temporary: temporaries.has(one.address), steady: true })),
    problem: problemOf([inet, inet6, ifconfig]),
  };
}

async function fromWindows(run: RunProgram, own: readonly OwnAddress[]): Promise<RoutesAndAddresses> {
  const [v4, v6] = await Promise.all([output(run, ["route", "print", "-4"]), output(run, ["route", "print", "-6"])]);
  return {
    routes: [...(v4.ok ? decodeWindowsRoutes4(v4.value) : []), ...(v6.ok ? decodeWindowsRoutes6(v6.value) : [])],
    addresses: own.map((one) => ({ ...one, temporary: false, steady: true })),
    problem: problemOf([v4, v6]),
  };
}

async function output(run: RunProgram, argv: readonly string[]): Promise<Result<string, string>> {
  const ended = await run(argv);
  if (!ended.ok) return { ok: false, error: ended.error.message };
  const { exitCode, stdout, stderr } = ended.value;
  if (exitCode === 0) return ok(stdout);
  return { ok: false, error: `"${argv.join(" ")}" ended with ${exitCode}: ${stderr.trim()}` };
}

function problemOf(results: readonly Result<string, string>[]): string | null {
  for (const result of results) if (!result.ok) return result.error;
  return null;
}
