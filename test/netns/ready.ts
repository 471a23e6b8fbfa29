import { readFileSync, readlinkSync } from "node:fs";
import type { Child } from "./child.ts";

const POLL_MS = 10;
/** For what hangs, as that of a line: what is promised sooner has its own. */
const READY_DEADLINE_MS = 15_000;
/** `st` of /proc/net/tcp and /proc/net/udp. */
const TCP_LISTEN = "0A";
const UDP_UNCONNECTED = "07";

/** Asks again every 10 ms until `probe` gives something; for state that no one reports. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  deadlineMs = READY_DEADLINE_MS,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await Bun.sleep(POLL_MS);
  }
}

/** Waits until a port is open in the child's network namespace, whoever opened it. */
export function listening(child: Child, protocol: "tcp" | "udp", port: number): Promise<void> {
  return eventually(`${protocol} port ${port} open`, () => {
    if (isOpen(child.pid, protocol, port)) return null;
    return undefined;
  }).then(() => undefined);
}

function isOpen(pid: number, protocol: "tcp" | "udp", port: number): boolean {
  // Until `ip netns exec` has entered the namespace, the tables are those of this process.
  if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) return false;
  const state = protocol === "tcp" ? TCP_LISTEN : UDP_UNCONNECTED;
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return [protocol, `${protocol}6`].some((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .some((row) => {
        const [, local, , st] = row.trim().split(/\s+/);
        return local?.endsWith(suffix) === true && st === state;
      }),
  );
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} has no resident memory: it has ended`);
  return Number(kilobytes) * 1024;
}
