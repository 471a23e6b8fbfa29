// Builds the console into dist/console, where the relay finds it: the files, compressed as browsers take them, and a
// manifest that src/roles/console/files.ts reads.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildConsole } from "./console.ts";

const DIST = join(import.meta.dir, "../dist");
const unfinished = join(DIST, `console-${process.pid}`);
mkdirSync(unfinished, { recursive: true });
const manifest: Record<string, object> = {};
for (const [path, { bytes, gzip, brotli, ...about }] of await buildConsole()) {
  const file = path.slice(path.lastIndexOf("/") + 1);
  manifest[path] = { ...about, file };
  writeFileSync(join(unfinished, file), bytes);
  writeFileSync(join(unfinished, `${file}.gz`), gzip);
  writeFileSync(join(unfinished, `${file}.br`), brotli);
}
writeFileSync(join(unfinished, "manifest.json"), JSON.stringify(manifest));
const made = join(DIST, "console");
rmSync(made, { recursive: true, force: true });
renameSync(unfinished, made);
