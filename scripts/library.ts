// Bundles src/index.ts and src/client.ts and their packages for apps on Node: dist/hatchway.mjs, dist/client.mjs. Bun imports
// src itself (package.json, exports).
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

export const LIBRARY_BUNDLES = { "hatchway.mjs": "src/index.ts", "client.mjs": "src/client.ts" } as const;

/** Resolves to the folders of the packages whose code is in the bundles. */
export async function bundleLibrary(outdir: string): Promise<readonly string[]> {
  const packages = new Set<string>();
  for (const [naming, entry] of Object.entries(LIBRARY_BUNDLES)) {
    const { metafile } = await Bun.build({
      entrypoints: [join(ROOT, entry)],
      outdir,
      naming,
      target: "node",
      format: "esm",
      // Names and lines stay: it is what people see in their debugger.
      minify: false,
      metafile: true,
    });
    for (const path of Object.keys(metafile?.inputs ?? {})) {
      const folder = /node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined) packages.add(join(ROOT, folder));
    }
  }
  return [...packages].sort();
}

if (import.meta.main) await bundleLibrary(join(ROOT, "dist"));
