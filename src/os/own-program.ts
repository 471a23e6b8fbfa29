import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * How this program lies on the disk: `executable`, one file that has everything in it (scripts/release.ts); `package`, the
 * files of a clone or of an npm package, run by a Bun beside them.
 */
export type OwnProgram =
  | { readonly kind: "executable"; readonly path: string }
  | { readonly kind: "package"; readonly root: string };

export function ownProgram(): OwnProgram {
  return Bun.isStandaloneExecutable
    ? { kind: "executable", path: process.execPath }
    : { kind: "package", root: packageRoot() };
}

/** The folder of the console that scripts/console-files.ts built; within an executable, the one of its entry. */
export function consoleFolder(): string {
  return Bun.isStandaloneExecutable ? dirname(Bun.main) : join(packageRoot(), "dist/console");
}

/** What starts this program again, before its arguments. Bun's flags: see bin/hatchway; an executable has them built in. */
export function ownCommand(): readonly string[] {
  const { execPath } = process;
  if (Bun.isStandaloneExecutable) return [execPath];
  return [execPath, "--no-env-file", "--no-install", "--config=/dev/null", Bun.main];
}

/** Whether it runs from its sources or from its bundle within. */
function packageRoot(): string {
  for (let directory = import.meta.dir; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json")) && existsSync(join(directory, "bin/hatchway"))) return directory;
    if (dirname(directory) === directory) return process.cwd();
  }
}
