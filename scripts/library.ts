// Bundles src/index.ts and its packages for apps on Node: dist/hatchway.mjs. Bun imports src itself (package.json, exports).
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

await Bun.build({
  entrypoints: [join(ROOT, "src/index.ts")],
  outdir: join(ROOT, "dist"),
  naming: "hatchway.mjs",
  target: "node",
  format: "esm",
  // Names and lines stay: it is what people see in their debugger.
  minify: false,
});
