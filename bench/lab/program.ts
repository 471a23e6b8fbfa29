import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { ENVIRONMENT } from "./commands.ts";

const START_LIMIT_MS = 20_000;
const POLL_MS = 5;
const LAST_WORDS = 600;
/** A crowd of visitors needs two descriptors each; the limit of this process's shell may be 1,024. */
const WITH_ALL_DESCRIPTORS = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"];

/** A program in the background whose words go to a file. */
export interface Program {
  readonly id: number;
  /** Resolves with the first line that holds `text`; rejects, with its last words, when it ends before. */
  printed(text: string): Promise<string>;
  /** Resolves once something in the program's network namespace accepts TCP connections on `port`. */
  listening(port: number): Promise<void>;
  /** The end of what it printed. */
  lastWords(): Promise<string>;
  /** The same with how it ended; null while it runs. */
  lastWordsIfGone(): Promise<string | null>;
}

export interface ProgramOptions {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly logFile: string;
}

/** `inside` lays the namespace's prefix over a command. */
export function startProgram(
  inside: (command: readonly string[]) => string[],
  command: readonly string[],
  { name, environment, directory, logFile }: ProgramOptions,
): Program {
  const file = openSync(logFile, "w");
  const child = Bun.spawn(inside([...WITH_ALL_DESCRIPTORS, ...command]), {
    env: { ...ENVIRONMENT, ...environment },
    cwd: directory,
    stdin: "ignore",
    stdout: file,
    stderr: file,
  });
  closeSync(file);
  const printedSoFar = () => readFile(logFile, "utf8");

  const lastWords = async () => (await printedSoFar()).trim().slice(-LAST_WORDS);

  async function lastWordsIfGone(): Promise<string | null> {
    if (child.exitCode === null && child.signalCode === null) return null;
    return `${name} ended (${child.exitCode ?? child.signalCode}): ${await lastWords()}`;
  }

  async function until<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + START_LIMIT_MS;
    for (;;) {
      const found = await find();
      if (found !== undefined) return found;
      const gone = await lastWordsIfGone();
      if (gone !== null) throw new Error(gone);
      if (Date.now() > deadline) throw new Error(`${name}: no ${what} within ${START_LIMIT_MS} ms`);
      await Bun.sleep(POLL_MS);
    }
  }

  return {
    id: child.pid,
    printed: (text) =>
      until(`"${text}"`, async () => (await printedSoFar()).split("\n").find((line) => line.includes(text))),
    async listening(port) {
      await until(`listener on port ${port}`, async () => (await isListening(child.pid, port)) || undefined);
    },
    lastWords,
    lastWordsIfGone,
  };
}

/** Looks at the network namespace of process `id`: state 0A is LISTEN (proc(5), /proc/net/tcp). */
export async function isListening(id: number, port: number): Promise<boolean> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const table of ["tcp", "tcp6"]) {
    const text = await readFile(`/proc/${id}/net/${table}`, "utf8").catch(() => "");
    for (const line of text.split("\n")) {
      const [, local, , state] = line.trim().split(/\s+/);
      if (state === "0A" && local?.endsWith(wanted)) return true;
    }
  }
  return false;
}
