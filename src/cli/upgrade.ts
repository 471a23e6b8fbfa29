import { resolve } from "node:path";
import type { Command } from "commander";
import { VERSION } from "../os/version.ts";
import type { Installation } from "../roles/upgrade/installation.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import type { Release } from "../wire/release.ts";
import { decodeSshEd25519Key } from "../wire/ssh-signature.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";

interface UpgradeOptions {
  readonly check?: true;
  readonly from?: string;
  readonly key?: string;
}

export function defineUpgrade(program: Command, run: Run): void {
  program
    .command("upgrade")
    .summary("see whether there is a newer version, and how this one is replaced")
    .description(
      "Says how this installation is replaced by a newer version; with --check, whether there is one. It installs nothing, and asks nobody but the place that you name: Hatchway has no server of its own.",
    )
    .option("--check", "compare with the release.json of --from, or of [upgrade] manifest in hatchway.toml")
    .option("--from <FILE|URL>", "with --check: the release.json, a path or an https URL")
    .option(
      "--key <KEY>",
      "with --check: the `ssh-ed25519 AAAA…` that must have signed it (release.json.sig beside it)",
    )
    .addHelpText(
      "after",
      `
Each release has a release.json, with the SHA-256 of its files; whoever builds releases signs it with ssh-keygen's
Ed25519 key. In hatchway.toml: [upgrade] manifest = "https://…/release.json" and key = "ssh-ed25519 AAAA…".
Exit code of --check 0: nothing newer, 5: there is a newer version, 3: the manifest is not to be trusted, 4: not reachable.
With --json, one line:
  {"v":1,"version":…,"installed":{"by":"executable"|"container"|"npm"|"clone"|"folder","path":…|null},"steps":[…],
   "check":{"from":…,"signed":true|false,"state":"newer"|"current"|"older","version":…,
            "file":{"name":…,"bytes":…,"sha256":…}|null}|null}

Examples:
  hatchway upgrade
  hatchway upgrade --check --from /srv/mirror/release.json
  hatchway upgrade --check`,
    )
    .action(async (given: UpgradeOptions, command: Command) => run(command, (context) => upgrade(context, given)));
}

type State = "newer" | "current" | "older";

async function upgrade(context: Context, given: UpgradeOptions): Promise<number> {
  const { io, options } = context;
  const [lonely] = (["from", "key"] as const).filter((name) => given[name] !== undefined);
  if (lonely !== undefined && given.check !== true) {
    throw new ControlError("usage", `--${lonely} goes with --check: without it nobody is asked.`);
  }
  const { findInstallation, stepsOf } = await import("../roles/upgrade/installation.ts");
  const installation = findInstallation(io.env);
  const steps = stepsOf(installation);
  const checked = given.check === true ? await check(context, given) : null;
  if (options.json) {
    const installed = { by: installation.by, path: "path" in installation ? installation.path : null };
    io.out(`${JSON.stringify({ v: 1, version: VERSION, installed, steps, check: checked })}\n`);
  } else {
    io.out(textOf(installation, steps, checked));
  }
  return checked?.state === "newer" ? EXIT_CODES.warnings : EXIT_CODES.ok;
}

interface Checked {
  readonly from: string;
  readonly signed: boolean;
  readonly state: State;
  readonly version: string;
  /** The executable for this machine. */
  readonly file: Pick<Release["files"][number], "name" | "bytes" | "sha256"> | null;
}

async function check(context: Context, given: UpgradeOptions): Promise<Checked> {
  const source = await sourceOf(context, given);
  const { comparedWithOwn, findRelease, ownTarget } = await import("../roles/upgrade/check.ts");
  const release = await findRelease(source, { fetch, signal: context.io.stop });
  if (!release.ok) throw new ControlError(release.error.kind, release.error.message);
  const { version, files } = release.value;
  const found = files.find(({ target }) => target === ownTarget());
  return {
    from: source.manifest,
    signed: source.key !== null,
    state: comparedWithOwn(release.value),
    version,
    file: found === undefined ? null : { name: found.name, bytes: found.bytes, sha256: found.sha256 },
  };
}

/** Where to look, by the flags and else by the config file. */
async function sourceOf(context: Context, { from, key }: UpgradeOptions) {
  if (key !== undefined && decodeSshEd25519Key(key) === null) {
    throw new ControlError("usage", "--key is no `ssh-ed25519 AAAA…`: give the line of the .pub file, in quotes.");
  }
  const { path, file } = await (await findPlace(context, "relay")).readConfig();
  const section = file.upgrade ?? {};
  const manifest = from ?? section.manifest;
  if (manifest === undefined) {
    throw new ControlError(
      "usage",
      "Nobody is asked unless you say whom: name a release.json by --from, or by [upgrade] manifest in hatchway.toml.",
    );
  }
  const { placeOf } = await import("../roles/upgrade/check.ts");
  const base = from === undefined && path !== null ? resolve(path, "..") : resolve();
  return { manifest: placeOf(manifest, base), key: key ?? section.key ?? null };
}

function textOf(installation: Installation, steps: readonly string[], checked: Checked | null): string {
  const where = "path" in installation ? ` ${installation.path}` : "";
  const lines = [`This is Hatchway ${VERSION}, ${HOW[installation.by]}${where}.`];
  if (checked !== null) lines.push(...verdict(checked));
  if (checked === null || checked.state === "newer") {
    lines.push(
      "To replace it (on a relay or a gateway, make a backup before: `hatchway backup`):",
      ...steps.map((step) => `  ${step}`),
      "Then start it again. Its data stays, and devices come back by themselves.",
    );
  }
  return `${lines.join("\n")}\n`;
}

const HOW: Readonly<Record<Installation["by"], string>> = {
  executable: "the executable",
  container: "in a container",
  npm: "installed by npm in",
  clone: "a clone in",
  folder: "in",
};

function verdict({ state, version, from, signed, file }: Checked): string[] {
  const by = signed ? "signed by the key you trust" : "not signed by a key you named";
  switch (state) {
    case "current":
      return [`${from} (${by}) has nothing newer.`];
    case "older":
      return [`${from} (${by}) is older: it has ${version}.`];
    case "newer": {
      const lines = [`Version ${version} is there, says ${from} (${by}).`];
      if (file !== null) lines.push(`For this machine: ${file.name}, SHA-256 ${file.sha256}`);
      return lines;
    }
    default:
      return state satisfies never;
  }
}
