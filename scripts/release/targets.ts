// What executables are made for, and the package of the npm registry that has the Bun of each.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

export interface Target {
  /** As it stands in the name of the executable. */
  readonly name: string;
  /** As Bun calls it. */
  readonly bun: Bun.Build.CompileTarget;
  /** Its Bun, in the registry. */
  readonly runtime: string;
  /** Of the file's name. */
  readonly extension: "" | ".exe";
}

const target = (name: string, bun: Bun.Build.CompileTarget, runtime: string, extension: Target["extension"] = "") => ({
  name,
  bun,
  runtime: `@oven/${runtime}`,
  extension,
});

export const TARGETS: readonly Target[] = [
  target("linux-x64", "bun-linux-x64", "bun-linux-x64"),
  target("linux-arm64", "bun-linux-arm64", "bun-linux-aarch64"),
  target("macos-x64", "bun-darwin-x64", "bun-darwin-x64"),
  target("macos-arm64", "bun-darwin-arm64", "bun-darwin-aarch64"),
  target("windows-x64", "bun-windows-x64", "bun-windows-x64", ".exe"),
];

/** An entry of package-lock.json, as far as a release has to do with it. */
export interface LockedPackage {
  readonly version: string;
  /** As npm wrote it from the package: an SPDX expression, most often. */
  readonly license?: string;
  /** Of its archive: `sha512-` and base64. */
  readonly integrity?: string;
  readonly dev?: true;
  readonly devOptional?: true;
  readonly optional?: true;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The packages of package-lock.json by their folder, which is "" for this one. */
export function lockedPackages(): Readonly<Record<string, LockedPackage>> {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(join(ROOT, "package-lock.json"), "utf8"),
  );
  return lock.packages;
}
