// What bin/hatchway runs: the bundle that scripts/bundle.ts made of exactly the files that are there, or else src.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { sourceState } from "./bundle-path.ts";

const bundled = join(sourceState().bundle, "main.js");
await import(existsSync(bundled) ? bundled : "../src/main.ts");
