// Builds src/console into the files that the API server gives to browsers. As a program it writes them to a directory and
// says how big they are: bun scripts/console.ts [DIRECTORY].
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

/** A file of the console, ready to be sent. */
export interface ConsoleFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** As Content-Type says it. */
  readonly type: string;
  /** Another one when the bytes are others; without quotes. */
  readonly etag: string;
  /** Its name has a hash of its content: it may be kept for good. */
  readonly immutable: boolean;
  readonly brotli: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** By URL path: `/index.html`, which is the document of every path in src/console/paths.ts, and `/assets/…`. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

const ENTRY = join(import.meta.dir, "../src/console/index.html");
const ASSETS = "assets";
/** 11 saves another 4 % and takes ten times as long (measured). */
const BROTLI_QUALITY = 9;
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
    files.set(path, {
      bytes,
      type: output.type,
      etag: Bun.hash(bytes).toString(36),
      immutable: !isPage,
      brotli: new Uint8Array(
        brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }),
      ),
      gzip: Bun.gzipSync(bytes, { level: 9 }),
    });
  }
  return files;
}

/** What a browser takes at its first visit, by gzip. */
export function firstLoadBytes(files: ConsoleFiles): number {
  return [...files.values()].reduce((sum, { gzip }) => sum + gzip.length, 0);
}

if (import.meta.main) {
  const files = await buildConsole();
  const directory = process.argv[2];
  for (const [path, { bytes, gzip, brotli }] of files) {
    console.log(`${path.padEnd(32)} ${bytes.length} bytes, ${gzip.length} by gzip, ${brotli.length} by brotli`);
    if (directory === undefined) continue;
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), bytes);
  }
  console.log(`first load: ${(firstLoadBytes(files) / 1000).toFixed(1)} kB by gzip`);
}
