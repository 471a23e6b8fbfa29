/** A program that a scenario started. Disposing of it kills it and waits for its end. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Every line so far on stdout. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** Resolves with the exit code; a signal counts as 128 + its number. */
  readonly exited: Promise<number>;
  /**
   * The first line of stdout, past or to come, that `match` turns into something. Rejects with what the program
   * printed when it ends first, or after `deadlineMs`.
   */
  line<T>(what: string, match: (line: string) => T | undefined, deadlineMs?: number): Promise<T>;
  /** The first JSON line from `fromLine` on whose `event` is this. */
  event<T = Record<string, unknown>>(name: string, options?: { fromLine?: number; deadlineMs?: number }): Promise<T>;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and the end of the process (not of those it started: they end with the lab). */
  kill(): Promise<void>;
}

export const LINE_DEADLINE_MS = 15_000;

interface Waiter {
  check(): void;
  fail(why: string): void;
}

export function startChild(argv: readonly string[], env: Record<string, string>): Child {
  const subprocess = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe", env });
  const stdout: string[] = [];
  const stderr: string[] = [];
  const waiters = new Set<Waiter>();
  const check = (): void => {
    for (const waiter of [...waiters]) waiter.check();
  };
  const reading = Promise.all([
    collectLines(subprocess.stdout, stdout, check),
    collectLines(subprocess.stderr, stderr, check),
  ]);
  const exited = subprocess.exited.then(async (code) => {
    await reading;
    for (const waiter of [...waiters]) waiter.fail(`it ended with exit code ${code}`);
    return code;
  });
  const story = (): string => [...stdout.slice(-20), ...stderr.slice(-20)].join("\n");

  const child: Child = {
    pid: subprocess.pid,
    stdout,
    stderr,
    exited,
    line(what, match, deadlineMs = LINE_DEADLINE_MS) {
      return waitForLine(what, match, 0, deadlineMs);
    },
    event<T>(name: string, { fromLine = 0, deadlineMs = LINE_DEADLINE_MS } = {}) {
      const match = (line: string): T | undefined => {
        const value = parseJson(line);
        return value?.["event"] === name ? (value as T) : undefined;
      };
      return waitForLine(`event "${name}"`, match, fromLine, deadlineMs);
    },
    signal(name) {
      subprocess.kill(name);
    },
    async kill() {
      subprocess.kill("SIGKILL");
      // Not `exited`: what the program itself started may hold its pipes open.
      await subprocess.exited;
    },
    [Symbol.asyncDispose]: () => child.kill(),
  };

  function waitForLine<T>(
    what: string,
    match: (line: string) => T | undefined,
    from: number,
    deadlineMs: number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let next = from;
      const settle = (): void => {
        waiters.delete(waiter);
        clearTimeout(timer);
      };
      const waiter: Waiter = {
        check() {
          while (next < stdout.length) {
            const found = match(stdout[next++]!);
            if (found === undefined) continue;
            settle();
            return resolve(found);
          }
        },
        fail(why) {
          settle();
          reject(new Error(`${argv.join(" ")}: no ${what}: ${why}\n${story()}`));
        },
      };
      const timer = setTimeout(() => waiter.fail(`nothing in ${deadlineMs} ms`), deadlineMs);
      waiters.add(waiter);
      waiter.check();
      if (subprocess.exitCode !== null)
        void exited.then((code) => waiters.has(waiter) && waiter.fail(`it ended with exit code ${code}`));
    });
  }
  return child;
}

async function collectLines(stream: ReadableStream<Uint8Array>, lines: string[], onLine: () => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    if (parts.length === 0) continue;
    lines.push(...parts);
    onLine();
  }
  if (rest === "") return;
  lines.push(rest);
  onLine();
}

export function parseJson(line: string): Record<string, unknown> | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
