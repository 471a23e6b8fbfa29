// Builds the console into dist/console, where the relay finds it: the files, compressed as browsers take them, and a
// manifest that src/roles/console/files.ts reads.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildConsole } from "./console.ts";

const DIST = join(import.meta.dir, "../dist");

/** In a folder that is there and empty. */
export async function writeConsole(folder: string): Promise<void> {
  const manifest: Record<string, object> = {};
  for (const [path, { bytes, gzip, brotli, ...about }] of await buildConsole()) {
    const file = path.slice(path.lastIndexOf("/") + 1);
    manifest[path] = { ...about, file };
    writeFileSync(join(folder, file), bytes);
    writeFileSync(join(folder, `${file}.gz`), gzip);
    writeFileSync(join(folder, `${file}.br`), brotli);
  }
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
}

if (import.meta.main) {
  const unfinished = join(DIST, `console-${process.pid}`);
  mkdirSync(unfinished, { recursive: true });
  await writeConsole(unfinished);
  const made = join(DIST, "console");
  rmSync(made, { recursive: true, force: true });
  renameSync(unfinished, made);
}
