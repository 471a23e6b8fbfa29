import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where Bun keeps the files of a program that is one file (bun build --compile, 1.4.5). */
const INSIDE = "/$bunfs/";

/** What starts this program anew, as it is on the disk then: without its arguments. */
export function ownProgram(main: string, execPath: string): readonly string[] {
  if (main.startsWith(INSIDE)) return [execPath];
  // The shell script finds the Bun that belongs to the version on the disk.
  const script = join(dirname(main), "hatchway");
  return existsSync(script) ? [script] : [execPath, main];
}
