// The Bun of a target, from the npm registry: exactly the archive that package-lock.json names.
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lockedPackages, ROOT, type Target } from "./targets.ts";

const CACHE = join(ROOT, "node_modules/.cache/hatchway-runtimes");

/** The path of the target's Bun; fetched by npm the first time. Throws when it is not the one of package-lock.json. */
export async function runtimeOf({ runtime, extension }: Target): Promise<string> {
  const locked = lockedPackages()[`node_modules/${runtime}`];
  if (locked?.integrity === undefined) throw new Error(`package-lock.json has no ${runtime}.`);
  const { version, integrity } = locked;
  const directory = join(CACHE, version);
  const path = join(directory, `${runtime.replace("@oven/", "")}${extension}`);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const unfinished = mkdtempSync(join(directory, "new-"));
  try {
    const archive = await packed(`${runtime}@${version}`, unfinished);
    if (`sha512-${createHash("sha512").update(archive).digest("base64")}` !== integrity) {
      throw new Error(`The registry's ${runtime}@${version} is not the one of package-lock.json.`);
    }
    const files = await new Bun.Archive(archive).files();
    const program = files.get(`package/bin/bun${extension}`);
    if (program === undefined) throw new Error(`${runtime}@${version} has no program in it.`);
    const made = join(unfinished, "bun");
    await Bun.write(made, program);
    chmodSync(made, 0o755);
    renameSync(made, path);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return path;
}

/** The archive of a package, by npm: it knows the registry, its mirrors and its credentials. */
async function packed(spec: string, directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const npm = Bun.spawn(["npm", "pack", "--silent", "--pack-destination", directory, spec], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const name = (await npm.stdout.text()).trim();
  if ((await npm.exited) !== 0) throw new Error(`npm could not fetch ${spec}: see the lines above.`);
  return new Uint8Array(await Bun.file(join(directory, name)).arrayBuffer());
}
