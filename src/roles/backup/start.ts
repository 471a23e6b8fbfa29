import { nowMs } from "../../os/clock.ts";
import type { DataPaths } from "../../os/paths.ts";
import { ControlError } from "../../servers/local/error.ts";
import { reserveSocket, type SocketFile } from "../../servers/local/socket-file.ts";
import { type AppliedRestore, applyRestore, isRestoreDue } from "./restore.ts";

type Role = "relay" | "agent" | "gateway";

/** Takes a restore that was staged, before a role opens anything but its own lock. True: it was taken. Another role that runs there makes it wait. */
export async function takeRestore(paths: DataPaths, role: Role, warn: (message: string) => void): Promise<boolean> {
  if (!(await isRestoreDue(paths))) return false;
  let applied: AppliedRestore | null;
  try {
    applied = await withDirectory(paths, [role], () => applyRestore(paths, nowMs()));
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    warn(`A backup waits to be restored until nothing else runs here: ${error.message}`);
    return false;
  }
  if (applied !== null)
    warn(`A backup was restored; what was here before is in ${applied.before ?? "no place: there was nothing"}.`);
  return applied !== null;
}

/** While no other role of the data directory runs, nor can begin. Rejects with ControlError `usage` when one does. */
export async function withDirectory<T>(paths: DataPaths, held: readonly Role[], use: () => Promise<T>): Promise<T> {
  const sockets = { relay: paths.relaySocket, agent: paths.agentSocket, gateway: paths.gatewaySocket };
  const reserved: SocketFile[] = [];
  try {
    for (const role of ["relay", "agent", "gateway"] as const) {
      if (!held.includes(role)) reserved.push(reserveSocket(sockets[role], role));
    }
    return await use();
  } finally {
    for (const one of reserved) one.release();
  }
}
