import { messageOf } from "../os/errors.ts";
import type { Running } from "../roles/control.ts";
import type { Io } from "./context.ts";
import { printable } from "./text.ts";

/** Visitors that are there when a relay or agent is told to stop have this long to end by themselves. */
const DRAIN_MS = 10_000;

interface Reloadable extends Running {
  reload(): Promise<{ readonly refused: readonly string[]; readonly needRestart: readonly string[] }>;
}

/**
 * Lets a relay or agent live until the program is stopped: SIGHUP reloads its config, the first stop drains, the
 * second ends at once. Rejects when it cannot go on.
 */
export async function runUntilStopped(io: Io, running: Reloadable): Promise<void> {
  const unlisten = io.onHangup(() => void reload(io, running));
  const stop = () => void running.stop({ drainMs: DRAIN_MS }).catch((error) => sayFailure(io, error));
  const stopNow = () => void running.stop({ drainMs: 0 }).catch((error) => sayFailure(io, error));
  io.stop.addEventListener("abort", stop, { once: true });
  io.stopNow.addEventListener("abort", stopNow, { once: true });
  if (io.stop.aborted) stop();
  try {
    await running.closed;
  } finally {
    unlisten();
    io.stop.removeEventListener("abort", stop);
    io.stopNow.removeEventListener("abort", stopNow);
  }
}

async function reload(io: Io, running: Reloadable): Promise<void> {
  try {
    const report = await running.reload();
    for (const sentence of report.refused) io.err(`hatchway: ${printable(sentence)}\n`);
    if (report.needRestart.length > 0) {
      io.err(`hatchway: Restart to apply the new ${report.needRestart.join(", ")}.\n`);
    }
  } catch (error) {
    sayFailure(io, error);
  }
}

/** Of work that nobody awaits: it goes on with what was there before. */
function sayFailure(io: Io, error: unknown): void {
  const message = messageOf(error);
  io.err(`hatchway: ${message}\n`);
}
