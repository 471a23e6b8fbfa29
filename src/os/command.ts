import { err, ok, type Result } from "../wire/result.ts";
import { type Child, endGroup, type StartError, startChild } from "./child.ts";

/** aborted: by the caller's signal. */
export type CommandErrorKind = StartError["kind"] | "timeout" | "aborted";

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
  /** The program is killed then, with all that it started. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the process's number when it has started. */
  readonly onStart?: ((pid: number) => void) | undefined;
}

/** What the parts that run programs need of `runCommand`; tests give one that runs them in a network namespace. */
export type Run = (
  argv: readonly string[],
  options?: Pick<CommandOptions, "input" | "timeoutMs">,
) => Promise<Result<CommandOutput, CommandError>>;

export interface FollowedCommand {
  readonly pid: number;
  /** The exit code, when all that it printed was handed on. */
  readonly exited: Promise<number>;
}

const TIMEOUT_MS = 10_000;
export const MAX_LINE_CHARS = 65_536;
/** Where Debian and others keep nft, ip, wg and conntrack: not in the PATH of every service. */
const SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * Runs one of the system's own programs to its end, and gives all that it printed. It gets PATH with the sbin folders,
 * the language C and the time UTC, so that what it prints can be read by a program, and nothing else of this process's environment.
 * For programs of other people's, which may print without an end or leave something running, see run-program.ts.
 */
export async function runCommand(
  argv: readonly string[],
  { input = "", timeoutMs = TIMEOUT_MS, signal, onStart }: CommandOptions = {},
): Promise<Result<CommandOutput, CommandError>> {
  if (signal?.aborted) return err(aborted(argv));
  const started = start(argv, input);
  if (!started.ok) return started;
  const child = started.value;
  onStart?.(child.pid);
  let killed: CommandError | null = null;
  const kill = (why: CommandError): void => {
    killed ??= why;
    endGroup(child.pid, "SIGKILL");
  };
  const timer = setTimeout(() => kill(timedOut(argv, timeoutMs)), timeoutMs);
  const onAbort = (): void => kill(aborted(argv));
  signal?.addEventListener("abort", onAbort, { once: true });
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  try {
    const exitCode = await child.exited;
    // What the program itself started may hold its pipes open: after a kill nobody waits for them.
    if (killed !== null) {
      output.catch(() => undefined);
      return err(killed);
    }
    const [stdout, stderr] = await output;
    return ok({ exitCode, stdout, stderr });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Starts a program that goes on, and hands on each line of its standard output, the first MAX_LINE_CHARS of it as soon as
 * they are there. It is killed when `signal` aborts.
 */
export function followCommand(
  argv: readonly string[],
  { signal, onLine }: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
): Result<FollowedCommand, CommandError> {
  if (signal.aborted) return err(aborted(argv));
  const started = start(argv, "");
  if (!started.ok) return started;
  const child = started.value;
  const kill = (): void => endGroup(child.pid, "SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const reading = Promise.all([readLines(child.stdout, onLine), new Response(child.stderr).text()]);
  const exited = child.exited.then(async (exitCode) => {
    signal.removeEventListener("abort", kill);
    if (!signal.aborted) await reading;
    return exitCode;
  });
  return ok({ pid: child.pid, exited });
}

/** Every byte is looked at once: a line without an end (seen: 100 MB from a faulty program) costs no more than its length. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  let isCut = false;
  const end = (part: string): void => {
    if (!isCut) onLine((rest + part).slice(0, MAX_LINE_CHARS));
    rest = "";
    isCut = false;
  };
  for await (const bytes of stream) {
    const parts = decoder.decode(bytes, { stream: true }).split("\n");
    const last = parts.pop() ?? "";
    for (const part of parts) end(part);
    if (isCut) continue;
    rest += last;
    if (rest.length < MAX_LINE_CHARS) continue;
    end("");
    isCut = true;
  }
  if (rest !== "") end("");
}

function start(argv: readonly string[], input: string): Result<Child, StartError> {
  const path = [process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", ...SBIN].join(":");
  return startChild(argv, { environment: { PATH: path, LC_ALL: "C", TZ: "UTC" }, input });
}

function timedOut(argv: readonly string[], timeoutMs: number): CommandError {
  const message = `${argv[0]} did not end within ${timeoutMs / 1_000} s and was killed; see what the machine is busy with.`;
  return { kind: "timeout", message };
}

function aborted(argv: readonly string[]): CommandError {
  return { kind: "aborted", message: `${argv[0]} was stopped before its end.` };
}
