// Builds the console into dist/console, where the relay finds it: the files, compressed as browsers take them, and a
// manifest that src/roles/console/files.ts reads.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { PATHS } from "../src/console/paths.ts";
import { buildConsole } from "./console.ts";

const DIST = join(import.meta.dir, "../dist");
const INDEX = "/index.html";

async function writeConsole(): Promise<void> {
  const unfinished = join(DIST, `console-${process.pid}`);
  mkdirSync(unfinished, { recursive: true });
  const manifest: Record<string, { file: string; type: string; etag: string; immutable: boolean }> = {};
  for (const [path, { bytes, contentType, gzip, immutable }] of await buildConsole()) {
    const isPage = Object.values(PATHS).some((page) => page === path);
    // Every page is the same document.
    if (isPage && path !== PATHS.overview) continue;
    const url = isPage ? INDEX : path;
    const file = url.slice(url.lastIndexOf("/") + 1);
    manifest[url] = { file, type: contentType, etag: Bun.hash(bytes).toString(36), immutable };
    writeFileSync(join(unfinished, file), bytes);
    if (gzip === null) continue;
    writeFileSync(join(unfinished, `${file}.gz`), gzip);
    writeFileSync(join(unfinished, `${file}.br`), brotliCompressSync(bytes));
  }
  writeFileSync(join(unfinished, "manifest.json"), JSON.stringify(manifest));
  const made = join(DIST, "console");
  rmSync(made, { recursive: true, force: true });
  renameSync(unfinished, made);
}

await writeConsole();
