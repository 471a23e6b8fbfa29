import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../os/command.ts";
import { publicKeyOf } from "../../os/wireguard-key.ts";
import { parseKey } from "../../wire/wireguard/key.ts";
import { KEY_FILE, restoreKept } from "./helper/kernel.ts";

/**
 * Takes out of the kernel what a gateway left there that does not run any more: its table, the VPN's interface (known by
 * its key) and what it changed in forwarding. `directory`: its helper's own. Returns what could not be done, in sentences.
 */
export async function cleanKernel(directory: string): Promise<string[]> {
  const problems: string[] = [];
  const run = async (argv: readonly string[], input = ""): Promise<string | null> => {
    const done = await runCommand(argv, { input });
    if (done.ok && done.value.exitCode === 0) return done.value.stdout;
    problems.push(done.ok ? `${argv.join(" ")}: ${done.value.stderr.trim()}` : done.error.message);
    return null;
  };
  // `add` first: deleting what is not there is no failure.
  await run(["nft", "-f", "-"], "add table inet hatchway\ndelete table inet hatchway\n");
  const own = await publicKeyIn(join(directory, KEY_FILE));
  const keys = own === null ? null : await run(["wg", "show", "all", "public-key"]);
  for (const line of keys?.split("\n") ?? []) {
    const [name, key] = line.split("\t");
    if (name !== undefined && key === own) await run(["ip", "link", "delete", "dev", name]);
  }
  const notRestored = restoreKept(directory);
  return notRestored === null ? problems : [...problems, notRestored];
}

/** Null = there was no VPN. */
async function publicKeyIn(path: string): Promise<string | null> {
  try {
    const key = parseKey((await readFile(path, "utf8")).trim());
    return key.ok ? publicKeyOf(key.value) : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
