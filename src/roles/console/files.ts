import { join } from "node:path";
import { messageOf } from "../../os/errors.ts";
import { consoleFolder } from "../../os/own-program.ts";
import type { StaticFile, StaticFiles } from "../../servers/api/files.ts";
import { z } from "../../wire/zod.ts";

/** What scripts/console.ts writes beside the files it builds: by URL path. */
const Manifest = z.record(
  z.string(),
  z.object({
    /** Beside the manifest; its compressed variants have `.br` and `.gz` behind their names. */
    file: z.string(),
    type: z.string(),
    etag: z.string(),
    immutable: z.boolean(),
  }),
);
const MANIFEST = "manifest.json";

/** The pages that an install has built; none, and a word of it, where there are none: the API works without. */
export async function loadConsoleFiles(
  warn: (message: string) => void,
  directory = consoleFolder(),
): Promise<StaticFiles> {
  const files = new Map<string, StaticFile>();
  try {
    const manifest = Manifest.parse(await Bun.file(join(directory, MANIFEST)).json());
    for (const [path, { file, ...about }] of Object.entries(manifest)) {
      const [bytes, brotli, gzip] = await Promise.all(
        ["", ".br", ".gz"].map((variant) => bytesOf(join(directory, `${file}${variant}`))),
      );
      if (bytes == null) throw new Error(`${file} is missing`);
      files.set(path, { ...about, bytes, ...(brotli == null ? {} : { brotli }), ...(gzip == null ? {} : { gzip }) });
    }
    return files;
  } catch (error) {
    warn(`The console's pages are not there (${messageOf(error)}): run "npm ci" where the program is. Its API works.`);
    return new Map();
  }
}

async function bytesOf(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const file = Bun.file(path);
  return (await file.exists()) ? new Uint8Array(await file.arrayBuffer()) : null;
}
