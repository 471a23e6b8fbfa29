// Bundles src and its packages for bin/launch.ts: one file and its bytecode in place of 700 files to read and compile.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BUNDLES, sourceState } from "../bin/bundle-path.ts";

/** File systems write times down this coarsely, or finer: two changes within it may look like one. */
const CTIME_GRAIN_MS = 1_000;
const UNFINISHED = "new-";

async function bundle(): Promise<void> {
  const state = sourceState();
  if (existsSync(state.bundle)) return;
  const ageMs = Date.now() - state.newestMs;
  if (ageMs < CTIME_GRAIN_MS) await Bun.sleep(Math.min(CTIME_GRAIN_MS - ageMs, CTIME_GRAIN_MS));
  const made = join(BUNDLES, `${UNFINISHED}${process.pid}`);
  mkdirSync(made, { recursive: true });
  await Bun.build({
    entrypoints: [join(import.meta.dir, "../src/main.ts")],
    outdir: made,
    target: "bun",
    // Bun keeps bytecode for this format only (1.4.5).
    format: "cjs",
    bytecode: true,
    // Names stay, for the traces that --verbose shows.
    // Native code of ssh2's, which does without where it is not built: it never is (package.json, allowScripts).
    external: ["cpu-features", "*/sshcrypto.node"],
    minify: { whitespace: true, syntax: true, identifiers: false },
  });
  // What changed meanwhile may be in it or not.
  if (sourceState().bundle === state.bundle && !existsSync(state.bundle)) renameSync(made, state.bundle);
  else rmSync(made, { recursive: true });
  for (const name of readdirSync(BUNDLES)) {
    const path = join(BUNDLES, name);
    if (path !== state.bundle && !name.startsWith(UNFINISHED)) rmSync(path, { recursive: true });
  }
}

await bundle();
