import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificates, createCertificates } from "./certificates.ts";
import { ENVIRONMENT, findProgram } from "./commands.ts";
import { ADDRESS, createNamespaces, type Namespaces, type Place } from "./namespaces.ts";
import { endProcesses, type Usage, usage } from "./processes.ts";
import { isListening, type Program, startProgram } from "./program.ts";

/** What listens behind every forward, in the agent's namespace. */
export const SERVICE_PORT = { web: 8080, bulk: 5201, datagrams: 8081 } as const;
const END_GRACE_MS = 1_500;
const LOAD_LIMIT_MS = 120_000;

interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
}

/** The machines of one run. Everything that a peer starts here is ended by `clear`. */
export interface Site {
  readonly namespaces: Namespaces;
  readonly certificates: Certificates;
  /** A directory for the files of what is being measured; `clear` empties it. */
  readonly directory: string;
  /** Starts a program in the background. */
  start(place: Place, command: readonly string[], options?: StartOptions): Promise<Program>;
  /** Runs a load program to its end and returns its line of JSON. */
  load(arguments_: readonly string[]): Promise<Record<string, number>>;
  /** Runs any program on the visitor's machine to its end, and returns what it printed. */
  visit(command: readonly string[], limitMs: number): Promise<string>;
  /** A crowd of idle visitors, until `leave`. Throws when fewer than `visitors` were served. */
  crowd(port: number, visitors: number): Promise<{ leave(): Promise<number> }>;
  /** A program there that answers each line of JSON with one, after a first that says that it is ready. */
  converse(place: Place, command: readonly string[]): Promise<<R>(order: object) => Promise<R>>;
  usage(place: "relay" | "agent"): Promise<Usage>;
  /** Throws, with its last words, when a program that was started since the last `clear` or `end` is gone. */
  checkAlive(): Promise<void>;
  /** The end of what each program there printed, for a report of what went wrong. */
  lastWords(place: Place): Promise<string>;
  /** Whether anything there accepts TCP connections on `port`. */
  isListening(place: Place, port: number): Promise<boolean>;
  /** Ends everything that was started on that side, and waits until it is gone. */
  end(place: "relay" | "agent"): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function openSite(): Promise<Site> {
  const base = await mkdtemp(join(tmpdir(), "hatchway-bench-"));
  const namespaces = await createNamespaces();
  try {
    return await furnish(base, namespaces);
  } catch (error) {
    await namespaces.remove();
    throw error;
  }
}

async function furnish(base: string, namespaces: Namespaces): Promise<Site> {
  const directory = join(base, "work");
  await mkdir(directory);
  // What gives up root (Hatchway's gateway) has its files here as well.
  await chmod(base, 0o711);
  const certificates = await createCertificates(base);
  const load = requireProgram("load");
  const iperf = requireProgram("iperf3");
  const running = new Map<Program, Place>();
  let count = 0;
  let fixtures: readonly number[] = [];

  async function start(place: Place, command: readonly string[], options: StartOptions = {}): Promise<Program> {
    count++;
    const program = startProgram((inner) => namespaces.inside(place, inner), command, {
      name: command[0] ?? "",
      environment: options.environment ?? {},
      directory,
      logFile: join(base, `${count}.log`),
    });
    running.set(program, place);
    return program;
  }

  async function visit(command: readonly string[], limitMs: number): Promise<string> {
    const child = Bun.spawn(namespaces.inside("visitor", command), {
      env: ENVIRONMENT,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: limitMs,
      killSignal: "SIGKILL",
    });
    const [out, problem, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (child.signalCode !== null) throw new Error(`${command.join(" ")} was still running after ${limitMs} ms`);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${(problem || out).trim().slice(-300)}`);
    return out;
  }

  const livingOn = async (place: Place) => (await namespaces.processIds(place)).filter((id) => !fixtures.includes(id));

  async function end(place: Place): Promise<void> {
    for (const [program, where] of running) if (where === place) running.delete(program);
    await endProcesses(() => livingOn(place), END_GRACE_MS);
  }

  /** Anew for every measurement: an iperf3 server whose client was cut off stays busy. */
  async function startServices(): Promise<void> {
    const web = await start("agent", [load, "service", "0.0.0.0", `${SERVICE_PORT.web}`, `${SERVICE_PORT.datagrams}`]);
    const bulk = await start("agent", [iperf, "-s", "-p", `${SERVICE_PORT.bulk}`]);
    await Promise.all([web.printed('"event":"ready"'), bulk.listening(SERVICE_PORT.bulk)]);
    fixtures = await namespaces.processIds("agent");
  }

  async function endAll(): Promise<void> {
    fixtures = [];
    await Promise.all([end("visitor"), end("agent"), end("relay")]);
  }

  await startServices();

  return {
    namespaces,
    certificates,
    directory,
    start,
    visit,
    async load(arguments_) {
      return JSON.parse(await visit([load, ...arguments_], LOAD_LIMIT_MS)) as Record<string, number>;
    },
    async crowd(port, visitors) {
      const child = Bun.spawn(namespaces.inside("visitor", [load, "crowd", ADDRESS.relay, `${port}`, `${visitors}`]), {
        env: ENVIRONMENT,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      const lines = jsonLines<Record<string, number>>(child.stdout);
      const arrival = await lines.next();
      const served = arrival.value?.["served"] ?? 0;
      if (served < visitors) {
        child.kill("SIGKILL");
        throw new Error(`only ${served} of ${visitors} visitors were served`);
      }
      return {
        async leave() {
          await child.stdin.end();
          const last = await lines.next();
          await child.exited;
          return last.value?.["open"] ?? 0;
        },
      };
    },
    async converse(place, command) {
      const child = Bun.spawn(namespaces.inside(place, command), {
        env: ENVIRONMENT,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      const lines = jsonLines<unknown>(child.stdout);
      const next = async () => {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`${command.join(" ")} ended`);
        return value;
      };
      await next();
      return async <R>(order: object) => {
        child.stdin.write(`${JSON.stringify(order)}\n`);
        await child.stdin.flush();
        return (await next()) as R;
      };
    },
    async checkAlive() {
      for (const program of running.keys()) {
        const gone = await program.lastWordsIfGone();
        if (gone !== null) throw new Error(gone);
      }
    },
    usage: async (place) => usage(await livingOn(place)),
    async lastWords(place) {
      const there = [...running].filter(([, where]) => where === place).map(([program]) => program.lastWords());
      return (await Promise.all(there)).filter(Boolean).join(" | ");
    },
    async isListening(place, port) {
      const [anyone] = await namespaces.processIds(place);
      return anyone !== undefined && isListening(anyone, port);
    },
    end,
    async clear() {
      await endAll();
      await namespaces.closeRouter();
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
      await startServices();
    },
    async close() {
      await endAll();
      await namespaces.remove();
      await rm(base, { recursive: true, force: true });
    },
  };
}

function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === null)
    throw new Error(`the program "${name}" is missing: run "npm run bench" once as root, it installs what it needs`);
  return path;
}

async function* jsonLines<T>(stream: ReadableStream<Uint8Array>): AsyncGenerator<T, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as T;
  }
  return undefined;
}
