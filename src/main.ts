import type { Io } from "./cli/context.ts";
import { runProgram } from "./cli/program.ts";
import { ROLES } from "./cli/roles.ts";
import { messageOf } from "./os/errors.ts";
import { Output } from "./os/output.ts";
import { ownCommand } from "./os/own-program.ts";
import { spawnBeside } from "./os/spawn.ts";

const DEFAULT_COLUMNS = 80;
const FAILED = 1;
/** Whoever stopped the program waits no longer than this for a reader that takes nothing. */
const LAST_WORDS_MS = 1_000;

/** The first stop ends in order, the second at once, the third without asking anybody. */
function listenForSignals() {
  const stop = new AbortController();
  const stopNow = new AbortController();
  const reloads = new Set<() => void>();
  let hasEnded = false;
  const onStop = () => {
    if (hasEnded) process.exit(FAILED);
    else if (!stop.signal.aborted) stop.abort();
    else if (!stopNow.signal.aborted) stopNow.abort();
    else process.exit(FAILED);
  };
  process.on("SIGINT", onStop);
  process.on("SIGTERM", onStop);
  process.on("SIGHUP", () => {
    if (reloads.size === 0) onStop();
    for (const reload of reloads) reload();
  });
  const io: Pick<Io, "stop" | "stopNow" | "onHangup"> = {
    stop: stop.signal,
    stopNow: stopNow.signal,
    onHangup(reload) {
      reloads.add(reload);
      return () => reloads.delete(reload);
    },
  };
  return {
    io,
    stop: () => stop.abort(),
    /** There is nothing left to end in order. */
    ended: () => {
      hasEnded = true;
    },
  };
}

const signals = listenForSignals();
// A reader that went away (`| head`) ends the program like a Ctrl-C would.
const stdout = new Output(process.stdout, () => signals.stop());
const stderr = new Output(process.stderr);

const io: Io = {
  env: process.env,
  out: (text) => stdout.write(text),
  err: (text) => stderr.write(text),
  stdin: () => Bun.stdin.text(),
  isTerminal: process.stdout.isTTY === true && process.env["TERM"] !== "dumb",
  columns: process.stdout.columns ?? DEFAULT_COLUMNS,
  isRoot: process.geteuid?.() === 0,
  program: ownCommand(),
  startAgain: (program, more) => spawnBeside([...program, ...process.argv.slice(2), ...more]),
  ...signals.io,
  async startLog(level, format = "human") {
    const { startLog } = await import("./os/log.ts");
    await startLog({ format, level, write: (line) => stderr.write(line) });
  },
  roles: ROLES,
};

/** What was written is with its readers, however slow they are. */
async function end(exitCode: number): Promise<never> {
  const isStopped = io.stop.aborted;
  signals.ended();
  const flushed = Promise.all([stdout.flushed(), stderr.flushed()]);
  await (isStopped ? Promise.race([flushed, Bun.sleep(LAST_WORDS_MS)]) : flushed);
  if (stdout.lost === null) process.exit(exitCode);
  stderr.write(`hatchway: Not all could be written to standard output: ${messageOf(stdout.lost)}.\n`);
  await stderr.flushed();
  process.exit(exitCode || FAILED);
}

// No top-level await: Bun keeps no bytecode of a module that has one (scripts/bundle.ts).
void runProgram(process.argv.slice(2), io).then(end);
