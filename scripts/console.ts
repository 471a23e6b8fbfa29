// Builds src/console into the files that the API server gives to browsers. As a program it writes them to a directory and
// says how big they are: bun scripts/console.ts [DIRECTORY].
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PATHS } from "../src/console/paths.ts";

/** A file of the console, at the path that a browser asks for. */
export interface ConsoleFile {
  readonly contentType: string;
  /** Its name has a hash of its content: it may be kept for good. */
  readonly immutable: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, by gzip; null = it would not be smaller. */
  readonly gzip: Uint8Array<ArrayBuffer> | null;
}

/** By URL path. Every page's path is in it, with the same document. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

const ENTRY = join(import.meta.dir, "../src/console/index.html");
const ASSETS = "assets";
/** What is built has no inline script or style, so that the page can be served with `default-src 'none'`. */
const INLINE = /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i;

export async function buildConsole(): Promise<ConsoleFiles> {
  const built = await Bun.build({
    entrypoints: [ENTRY],
    target: "browser",
    minify: true,
    publicPath: "/",
    define: { "process.env.NODE_ENV": '"production"' },
    naming: { entry: "[name].[ext]", chunk: `${ASSETS}/[name]-[hash].[ext]`, asset: `${ASSETS}/[name]-[hash].[ext]` },
  });
  const files = new Map<string, ConsoleFile>();
  for (const output of built.outputs) {
    const bytes = new Uint8Array(await output.arrayBuffer());
    const path = `/${output.path.replace(/^\.?\//, "")}`;
    const isPage = path.endsWith(".html");
    if (isPage && INLINE.test(new TextDecoder().decode(bytes))) throw new Error("the console's page has inline code");
    const zipped = Bun.gzipSync(bytes, { level: 9 });
    const file = {
      contentType: output.type,
      immutable: !isPage,
      bytes,
      gzip: zipped.length < bytes.length ? zipped : null,
    };
    for (const at of isPage ? Object.values(PATHS) : [path]) files.set(at, file);
  }
  return files;
}

/** What a browser takes at its first visit, compressed. */
export function firstLoadBytes(files: ConsoleFiles): number {
  return [...new Set(files.values())].reduce((sum, { bytes, gzip }) => sum + (gzip ?? bytes).length, 0);
}

if (import.meta.main) {
  const files = await buildConsole();
  const directory = process.argv[2];
  for (const [path, { bytes, gzip }] of files) {
    if (Object.values(PATHS).some((page) => page === path) && path !== PATHS.overview) continue;
    console.log(`${path.padEnd(40)} ${bytes.length} bytes, ${(gzip ?? bytes).length} by gzip`);
    if (directory === undefined) continue;
    const target = join(directory, path === PATHS.overview ? "index.html" : path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
  }
  console.log(`first load: ${(firstLoadBytes(files) / 1000).toFixed(1)} kB by gzip`);
}
