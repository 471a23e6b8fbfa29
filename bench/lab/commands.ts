import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");
/** What bench/ensure.mjs builds and installs; git ignores it. */
const BUILT = join(ROOT, ".bench");
const PATH = [join(BUILT, "bin"), join(BUILT, "cargo/bin"), process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(":");

/** The environment of everything that is measured: no variable of the caller's shell changes a result. */
export const ENVIRONMENT: Readonly<Record<string, string>> = { PATH, HOME: BUILT, LANG: "C.UTF-8" };

/** The full path of a program, or null when it is not on this machine. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH });
}

/** Runs a short command to its end and returns what it printed on standard output. Throws with its words when it fails. */
export async function run(command: readonly string[], options: { readonly input?: string } = {}): Promise<string> {
  const child = Bun.spawn([...command], {
    env: ENVIRONMENT,
    stdin: options.input === undefined ? "ignore" : new Blob([options.input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, problem, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${(problem || out).trim().slice(-500)}`);
  return out;
}
