import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";

/** Namespaces of the scenarios are named PREFIX-PID-NUMBER-ROLE: whose process is gone is a leftover. */
const PREFIX = "hwt";
const NETNS_DIRECTORY = "/run/netns";
export const SBIN_PATH = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Why the scenarios cannot run here, or null. They fail with it; they are never skipped. */
export function whyNotHere(): string | null {
  if (process.platform !== "linux") return "The network scenarios need Linux: run them in a virtual machine or in CI.";
  if (process.getuid?.() !== 0) return "The network scenarios build network namespaces: run the tests as root.";
  return null;
}

/** Runs a tool to its end, with `input` on its standard input; throws with what it said. */
export function tool(argv: readonly string[], input = ""): string {
  const [program, ...args] = argv;
  const result = spawnSync(program!, args, { input, encoding: "utf8", env: { ...process.env, PATH: SBIN_PATH } });
  if (result.error !== undefined)
    throw new Error(`${program} does not run: ${result.error.message}. Run "npm test" as root to install it.`);
  if (result.status !== 0) throw new Error(`${argv.join(" ")} failed: ${result.stderr.trim()}`);
  return result.stdout;
}

/** Many `ip` commands in one process: one a line, without the word `ip`. */
export function ipBatch(namespace: string | null, commands: readonly string[]): void {
  tool(namespace === null ? ["ip", "-batch", "-"] : ["ip", "-n", namespace, "-batch", "-"], `${commands.join("\n")}\n`);
}

export function namespaceName(labNumber: number, role: string): string {
  return `${PREFIX}-${process.pid}-${labNumber}-${role}`;
}

/** Files of a namespace that `ip netns exec` lays over /etc. */
export function namespaceFiles(name: string): string {
  return `/etc/netns/${name}`;
}

/** Ends what still runs in a namespace and removes it. */
export function removeNamespace(name: string): void {
  for (const pid of tool(["ip", "netns", "pids", name]).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  tool(["ip", "netns", "delete", name]);
  rmSync(namespaceFiles(name), { recursive: true, force: true });
}

/** Removes what a run that crashed left behind; other runs that are still alive keep theirs. */
export function sweepLeftovers(): void {
  if (!existsSync(NETNS_DIRECTORY)) return;
  for (const name of readdirSync(NETNS_DIRECTORY)) {
    const owner = name.match(new RegExp(`^${PREFIX}-(\\d+)-`))?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    // Its owner may have removed it and ended since the directory was read, or another run sweeps it, too.
    if (existsSync(`${NETNS_DIRECTORY}/${name}`)) removeNamespace(name);
  }
}
