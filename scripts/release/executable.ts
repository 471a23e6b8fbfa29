// One executable: the program, its packages, the console's files and a Bun in one file.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";
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

/**
 * ssh2 has native parts that it does without. Where somebody built them, the executable would be another one; and what is
 * merely left outside (`external`), Bun looks for in the folder that the executable is started in.
 */
const withoutNativeCode: BunPlugin = {
  name: "without native code",
  setup(build) {
    const namespace = "absent";
    build.onResolve({ filter: /^cpu-features$|\.node$/ }, ({ path }) => ({ path, namespace }));
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not in this executable`)});`,
      loader: "js",
    }));
  },
};

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
    // Bun would write down the folder of the sources, and of packages (ssh2's).
    define: { "import.meta.dir": '"/"', __dirname: '"/"', __filename: '"/"' },
    plugins: [withoutNativeCode],
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
