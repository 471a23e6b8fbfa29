// Bundles src/index.ts and src/client.ts and their packages for apps on Node: dist/hatchway.mjs, dist/client.mjs. Bun imports
// src itself (package.json, exports).
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

for (const [entry, naming] of [
  ["src/index.ts", "hatchway.mjs"],
  ["src/client.ts", "client.mjs"],
] as const) {
  await Bun.build({
    entrypoints: [join(ROOT, entry)],
    outdir: join(ROOT, "dist"),
    naming,
    target: "node",
    format: "esm",
    // Names and lines stay: it is what people see in their debugger.
    minify: false,
  });
}
