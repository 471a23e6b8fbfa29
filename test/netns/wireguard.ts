import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../src/os/command.ts";
import { decodeClientConfig, formatInterfaceAddress } from "../../src/wire/wireguard/client-config.ts";
import { clientDeviceText, encodeDeviceText } from "../../src/wire/wireguard/device-text.ts";
import type { Host } from "./lab.ts";
import { SBIN_PATH } from "./namespaces.ts";

/**
 * wireguard-go's sockets are files of the whole machine, whatever namespace their interface is in: so the names of
 * interfaces say whose they are, as those of namespaces do, and a socket whose process is gone is a leftover.
 */
const SOCKETS = "/run/wireguard";
const SOCKET = /^hwt([0-9a-z]+)-[0-9]+\.sock$/;
const PID_BASE = 36;
const numbers = { last: 0 };

/** Not longer than an interface's name may be. */
export function freshInterfaceName(): string {
  return `hwt${process.pid.toString(PID_BASE)}-${++numbers.last}`;
}

/** Removes the sockets of this process and of those that are gone. Call it when the lab is gone, and before one is made. */
export function sweepSockets(): void {
  for (const file of entries(SOCKETS)) {
    const pid = SOCKET.exec(file)?.[1];
    if (pid === undefined) continue;
    const owner = Number.parseInt(pid, PID_BASE);
    if (owner === process.pid || !entries("/proc").includes(`${owner}`)) rmSync(join(SOCKETS, file), { force: true });
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}

/** Runs programs in a namespace; `onCall` sees each call. */
export function runIn(host: Host, onCall: (argv: readonly string[]) => void = () => undefined): Run {
  return async (argv, { input = "", timeoutMs = 30_000 } = {}) => {
    onCall(argv);
    const child = Bun.spawn(["ip", "netns", "exec", host.namespace, ...argv], {
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutMs,
      env: { PATH: SBIN_PATH, LANG: "C.UTF-8" },
    });
    const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { ok: true, value: { exitCode, stdout, stderr } };
  };
}

/** What wg-quick would do with a client's file, but for the default routes. The interface ends with the lab at the latest. */
export async function startClient(host: Host, file: string): Promise<{ readonly name: string }> {
  const config = decodeClientConfig(file);
  if (!config.ok) throw new Error(config.error.message);
  const { addresses, mtu, server } = config.value;
  const name = freshInterfaceName();
  const run = runIn(host);
  const must = async (argv: readonly string[], input?: string) => {
    const result = await run(argv, input === undefined ? {} : { input });
    if (result.ok && result.value.exitCode === 0) return;
    throw new Error(`${argv.join(" ")}: ${result.ok ? result.value.stderr : result.error.message}`);
  };
  await must(["wireguard-go", name]);
  await must(["wg", "setconf", name, "/dev/stdin"], encodeDeviceText(clientDeviceText(config.value)));
  for (const one of addresses) await must(["ip", "address", "add", formatInterfaceAddress(one), "dev", name]);
  await must(["ip", "link", "set", "dev", name, "mtu", `${mtu}`, "up"]);
  for (const network of server.allowedIps) await must(["ip", "route", "replace", network, "dev", name]);
  return { name };
}

export async function stopClient(host: Host, { name }: { readonly name: string }): Promise<void> {
  await runIn(host)(["ip", "link", "delete", "dev", name]);
}

/** The process that runs an interface. */
export function wireguardGoPid(name: string): number | null {
  for (const entry of entries("/proc")) {
    if (!/^[0-9]+$/.test(entry)) continue;
    try {
      const [program, argument] = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      if (program?.endsWith("wireguard-go") && argument === name) return Number(entry);
    } catch (cause) {
      // It ended since the directory was read.
      if (!["ENOENT", "ESRCH"].includes((cause as NodeJS.ErrnoException).code ?? "")) throw cause;
    }
  }
  return null;
}
