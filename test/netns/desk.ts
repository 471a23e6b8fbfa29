import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host, Machines } from "./lab.ts";

/** Chromium as a program on that machine: what the path of its executable is to be. */
export function browserAt({ directory }: Machines, { namespace }: Host): string {
  const path = join(directory, "chromium");
  writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${namespace} /usr/bin/chromium "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
