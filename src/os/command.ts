import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";
import { PRIVATE_FILE_MODE } from "./files.ts";

/** missing: no such program. aborted: by the caller's signal. failed: the system could not start it. */
export type CommandErrorKind = "missing" | "permission" | "timeout" | "aborted" | "failed";

export interface CommandError {
  readonly kind: CommandErrorKind;
  /** One sentence that says what to do. */
  readonly message: string;
  readonly cause?: unknown;
}

/** What a program that ran to its end said; a program that fails is an output, too. */
export interface CommandOutput {
  /** A signal counts as 128 + its number, as in a shell. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Given on standard input, which then ends. Absent = empty. */
  readonly input?: string | undefined;
  /** The program is killed then. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the process's number when it has started. */
  readonly onStart?: ((pid: number) => void) | undefined;
}

export interface FollowedCommand {
  readonly pid: number;
  /** The exit code, when all that it printed was handed on. */
  readonly exited: Promise<number>;
}

const TIMEOUT_MS = 10_000;
const MEMORY = "/dev/shm";
/** Where Debian and others keep nft, ip, wg and conntrack: not in the PATH of every service. */
const SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * Runs a program by its arguments (no shell reads them) to its end. It gets PATH with the sbin folders, the language C,
 * so that what it prints can be read by a program, and nothing else of this process's environment.
 */
export async function runCommand(
  argv: readonly string[],
  { input = "", timeoutMs = TIMEOUT_MS, signal, onStart }: CommandOptions = {},
): Promise<Result<CommandOutput, CommandError>> {
  if (signal?.aborted) return err(aborted(argv));
  const opened = openFiles();
  if (!opened.ok) return opened;
  const files = opened.value;
  try {
    writeAll(files.stdin, input);
    const started = spawn(argv, files);
    if (!started.ok) return started;
    const child = started.value;
    onStart?.(child.pid);
    const killed = await untilExit(child, argv, timeoutMs, signal);
    if (killed !== null) return err(killed);
    return ok({ exitCode: await child.exited, stdout: readAll(files.stdout), stderr: readAll(files.stderr) });
  } catch (cause) {
    return err(startError(argv[0] ?? "", cause));
  } finally {
    for (const file of Object.values(files)) closeSync(file);
  }
}

/** Why it was killed, or null. */
async function untilExit(
  child: Bun.Subprocess,
  argv: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<CommandError | null> {
  let killed: CommandError | null = null;
  const kill = (why: CommandError): void => {
    killed ??= why;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => kill(timedOut(argv, timeoutMs)), timeoutMs);
  const onAbort = (): void => kill(aborted(argv));
  signal?.addEventListener("abort", onAbort, { once: true });
  await child.exited;
  clearTimeout(timer);
  signal?.removeEventListener("abort", onAbort);
  return killed;
}

/** The three standard files of a program, by descriptor. */
interface Files {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
}

/**
 * Files without a name, in memory where the system has such: Bun 1.4.5 stops reading a program's pipe once in some
 * thousand runs (seen: nft asleep in unix_stream_sendmsg until it was killed), and what a program says of a key must not
 * reach a disk.
 */
function openFiles(): Result<Files, CommandError> {
  const directory = existsSync(MEMORY) ? MEMORY : tmpdir();
  const made: number[] = [];
  try {
    for (let index = 0; index < 3; index++) {
      const path = join(directory, `hatchway-${randomUUID()}`);
      made.push(openSync(path, "wx+", PRIVATE_FILE_MODE));
      unlinkSync(path);
    }
  } catch (cause) {
    for (const file of made) closeSync(file);
    return err(startError(directory, cause));
  }
  const [stdin = 0, stdout = 1, stderr = 2] = made;
  return ok({ stdin, stdout, stderr });
}

/** By position: the program begins to read where the descriptor stands. */
function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
}

function readAll(file: number): string {
  const bytes = Buffer.alloc(fstatSync(file).size);
  let at = 0;
  for (let taken = -1; taken !== 0 && at < bytes.length; at += taken)
    taken = readSync(file, bytes, at, bytes.length - at, at);
  return bytes.toString("utf8", 0, at);
}

/** Starts a program that goes on, and hands on each line of its standard output. It is killed when `signal` aborts. */
export function followCommand(
  argv: readonly string[],
  { signal, onLine }: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
): Result<FollowedCommand, CommandError> {
  if (signal.aborted) return err(aborted(argv));
  const started = spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  if (!started.ok) return started;
  const child = started.value;
  const kill = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const reading = readLines(child.stdout, onLine);
  const exited = child.exited.then(async (exitCode) => {
    signal.removeEventListener("abort", kill);
    if (!signal.aborted) await reading;
    return exitCode;
  });
  return ok({ pid: child.pid, exited });
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}

function spawn<Out extends number | "pipe">(
  argv: readonly string[],
  streams: { readonly stdin: number | "ignore"; readonly stdout: Out; readonly stderr: number | "ignore" },
): Result<Bun.Subprocess<number | "ignore", Out, number | "ignore">, CommandError> {
  const path = [process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", ...SBIN].join(":");
  try {
    return ok(Bun.spawn([...argv], { ...streams, env: { PATH: path, LC_ALL: "C" } }));
  } catch (cause) {
    return err(startError(argv[0] ?? "", cause));
  }
}

/** Classifies an errno once. */
function startError(program: string, cause: unknown): CommandError {
  switch (cause instanceof Error && "code" in cause ? cause.code : null) {
    case "ENOENT":
      return { kind: "missing", message: `Install the program ${program}: it is not on this machine.`, cause };
    case "EACCES":
    case "EPERM":
      return { kind: "permission", message: `Let this user run ${program}: the system does not allow it.`, cause };
    default: {
      const detail = cause instanceof Error ? cause.message : String(cause);
      return { kind: "failed", message: `Cannot start ${program}: ${detail}.`, cause };
    }
  }
}

function timedOut(argv: readonly string[], timeoutMs: number): CommandError {
  const message = `${argv[0]} did not end within ${timeoutMs / 1_000} s and was killed; see what the machine is busy with.`;
  return { kind: "timeout", message };
}

function aborted(argv: readonly string[]): CommandError {
  return { kind: "aborted", message: `${argv[0]} was stopped before its end.` };
}
