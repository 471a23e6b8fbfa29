// One executable: the program, its packages, the console's files and a Bun in one file.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, type Target } from "./targets.ts";

export interface ExecutableOptions {
  readonly target: Target;
  /** The target's Bun. */
  readonly runtime: string;
  /** The folder of the built console (scripts/console-files.ts). */
  readonly console: string;
  /** Its last part is within the executable, too. */
  readonly path: string;
}

/** The same sources, packages and Bun give the same bytes. */
export async function makeExecutable({ target, runtime, console, path }: ExecutableOptions): Promise<void> {
  await Bun.build({
    entrypoints: [join(ROOT, "src/main.ts")],
    target: "bun",
    format: "cjs",
    bytecode: true,
    // Names stay, for the traces that --verbose shows; as in scripts/bundle.ts.
    minify: { whitespace: true, syntax: true, identifiers: false },
    sourcemap: "none",
    // Bun would write down the folder of the sources.
    define: { "import.meta.dir": '"/"' },
    // Native code that ssh2 does without; where somebody built it, the executable would be another one.
    external: ["cpu-features", "*.node"],
    compile: {
      target: target.bun,
      executablePath: runtime,
      outfile: path,
      // File by file: a folder's order is the file system's. All of them come to lie beside the entry (src/os/own-program.ts).
      assets: readdirSync(console)
        .toSorted()
        .map((name) => join(console, name)),
      // It is started in other people's directories: see bin/hatchway.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
}
