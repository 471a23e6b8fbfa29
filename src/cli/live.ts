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
  const systemd = openSystemd(io);
  const unlisten = io.onHangup(() => void reload(io, running, systemd));
  const stop = () => void running.stop({ drainMs: DRAIN_MS }).catch((error) => sayFailure(io, error));
  const stopNow = () => void running.stop({ drainMs: 0 }).catch((error) => sayFailure(io, error));
  io.stop.addEventListener("abort", stop, { once: true });
  io.stopNow.addEventListener("abort", stopNow, { once: true });
  io.stop.addEventListener("abort", systemd.stopping, { once: true });
  if (io.stop.aborted) stop();
  else systemd.ready();
  try {
    await running.closed;
  } finally {
    unlisten();
    io.stop.removeEventListener("abort", stop);
    io.stop.removeEventListener("abort", systemd.stopping);
    io.stopNow.removeEventListener("abort", stopNow);
  }
}

async function reload(io: Io, running: Reloadable, systemd: Systemd): Promise<void> {
  systemd.reloading();
  try {
    const report = await running.reload();
    for (const sentence of report.refused) io.err(`hatchway: ${printable(sentence)}\n`);
    if (report.needRestart.length > 0) {
      io.err(`hatchway: Restart to apply the new ${report.needRestart.join(", ")}.\n`);
    }
  } catch (error) {
    sayFailure(io, error);
  } finally {
    // What could not be applied is as it was before: the service runs.
    systemd.ready();
  }
}

interface Systemd {
  ready(): void;
  reloading(): void;
  stopping(): void;
}

/** A unit with Type=notify is told, so that `systemctl start` and `reload` wait for what they say. */
function openSystemd(io: Io): Systemd {
  const socket = io.env["NOTIFY_SOCKET"];
  const tell = async (choose: (part: typeof import("../os/notify-systemd.ts")) => string): Promise<void> => {
    if (socket === undefined) return;
    const part = await import("../os/notify-systemd.ts");
    const told = part.notifySystemd([choose(part)], socket);
    if (!told.ok) io.err(`hatchway: ${told.error}\n`);
  };
  return {
    ready: () => void tell(({ NOTICE }) => NOTICE.ready),
    reloading: () => void tell(({ NOTICE, monotonicUsec }) => NOTICE.reloading(monotonicUsec())),
    stopping: () => void tell(({ NOTICE }) => NOTICE.stopping),
  };
}

/** Of work that nobody awaits: it goes on with what was there before. */
function sayFailure(io: Io, error: unknown): void {
  const message = messageOf(error);
  io.err(`hatchway: ${message}\n`);
}
