import type { Io } from "./cli/context.ts";
import { runProgram } from "./cli/program.ts";
import { ROLES } from "./cli/roles.ts";

const DEFAULT_COLUMNS = 80;

/** The first stop ends in order, the second at once, the third without asking anybody. */
function listenForSignals(): Pick<Io, "stop" | "stopNow" | "onHangup"> {
  const stop = new AbortController();
  const stopNow = new AbortController();
  const reloads = new Set<() => void>();
  const onStop = () => {
    if (!stop.signal.aborted) stop.abort();
    else if (!stopNow.signal.aborted) stopNow.abort();
    else process.exit(1);
  };
  process.on("SIGINT", onStop);
  process.on("SIGTERM", onStop);
  process.on("SIGHUP", () => {
    if (reloads.size === 0) onStop();
    for (const reload of reloads) reload();
  });
  return {
    stop: stop.signal,
    stopNow: stopNow.signal,
    onHangup(reload) {
      reloads.add(reload);
      return () => reloads.delete(reload);
    },
  };
}

const io: Io = {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stdin: () => Bun.stdin.text(),
  isTerminal: process.stdout.isTTY === true && process.env["TERM"] !== "dumb",
  columns: process.stdout.columns ?? DEFAULT_COLUMNS,
  isRoot: process.geteuid?.() === 0,
  ...listenForSignals(),
  async startLog(level) {
    const { startLog } = await import("./os/log.ts");
    await startLog({ format: "human", level });
  },
  roles: ROLES,
};

// A reader that went away (`| head`) ends the program like a Ctrl-C would.
process.stdout.on("error", () => process.kill(process.pid, "SIGTERM"));

// No top-level await: Bun keeps no bytecode of a module that has one (scripts/bundle.ts).
void runProgram(process.argv.slice(2), io).then((exitCode) => process.exit(exitCode));
