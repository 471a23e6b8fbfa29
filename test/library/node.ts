import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
/** Where `scripts/ensure.mjs --test` puts one when the system's is older. */
const OWN = join(ROOT, "node_modules/.cache/hatchway-node/node_modules");
const LEAST_MAJOR = 22;

/** A Node that the library supports. */
export function nodeProgram(): string {
  const system = spawnSync("node", ["--version"], { encoding: "utf8" }).stdout ?? "";
  if (Number(/^v(\d+)/.exec(system)?.[1] ?? 0) >= LEAST_MAJOR) return "node";
  const own = ["node", "node-bin"].map((prefix) => join(OWN, `${prefix}-${process.platform}-${process.arch}/bin/node`));
  const found = own.find((path) => existsSync(path));
  if (found === undefined)
    throw new Error(`Node ${LEAST_MAJOR} or newer is missing: run "node scripts/ensure.mjs --test".`);
  return found;
}

/** Bundles the library as it is now into dist. */
export function bundleLibrary(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, "scripts/library.ts")], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the library could not be bundled: ${stderr}`);
}
