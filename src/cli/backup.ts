import { resolve } from "node:path";
import type { Command } from "commander";
import { ControlError } from "../servers/local/error.ts";
import type { BackupManifest } from "../wire/backup.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { formatAge } from "./text.ts";

/** As the API has it (servers/api/settings-schema.ts). */
const MIN_PASSPHRASE_CHARS = 12;
const PASSPHRASE_OPTION = "--passphrase-file <FILE>";
const PASSPHRASE_HELP = "a file whose first line is the passphrase, readable by its owner only; - is standard input";
const MANIFEST_SHAPE =
  '"madeMs":…,"version":…,"databaseVersion":…,"counts":{"accounts":…,"people":…,"devices":…,"forwards":…},"parts":[{"name":…,"bytes":…}]';

interface Given {
  readonly passphraseFile: string;
  readonly check?: true;
}

export function defineBackup(program: Command, run: Run): void {
  program
    .command("backup")
    .summary("write all that a relay or gateway is to one sealed file")
    .description(
      "Writes a consistent copy of the database, the keys and certificates made here, and hatchway.toml when it is in the data directory, sealed with a passphrase. The relay or gateway may run meanwhile.",
    )
    .argument("<FILE>", "the file to make")
    .requiredOption(PASSPHRASE_OPTION, PASSPHRASE_HELP)
    .addHelpText(
      "after",
      `
Without the passphrase nobody opens the file again; nobody can be asked for it. As root, a gateway's VPN key is in it as well.
With --json: {"v":1,"file":…,${MANIFEST_SHAPE}}

Example:
  hatchway backup /backup/hatchway.backup --passphrase-file /root/passphrase --data /var/lib/hatchway`,
    )
    .action(async (file: string, given: Given, command: Command) =>
      run(command, (context) => backup(context, file, given)),
    );
}

export function defineRestore(program: Command, run: Run): void {
  program
    .command("restore")
    .summary("put a backup in the place of what is in a data directory")
    .description(
      "Opens and checks a backup, and puts it in the place of what is in the data directory, which is kept beside it as before-restore-TIME. Nothing may run on that directory meanwhile.",
    )
    .argument("<FILE>", "the backup")
    .requiredOption(PASSPHRASE_OPTION, PASSPHRASE_HELP)
    .option("--check", "only open and check it, and say what is in it")
    .addHelpText(
      "after",
      `
Sessions, invitations and join codes do not come back: people sign in again.
With --json: {"v":1,"before":…|null,${MANIFEST_SHAPE}}

Examples:
  hatchway restore /backup/hatchway.backup --passphrase-file /root/passphrase --check
  hatchway restore /backup/hatchway.backup --passphrase-file /root/passphrase --data /var/lib/hatchway`,
    )
    .action(async (file: string, given: Given, command: Command) =>
      run(command, (context) => restore(context, file, given)),
    );
}

async function backup(context: Context, file: string, given: Given): Promise<void> {
  const { io, options } = context;
  const passphrase = await readPassphrase(context, given.passphraseFile);
  if (passphrase.length < MIN_PASSPHRASE_CHARS) {
    throw new ControlError("usage", `The passphrase is too short: take ${MIN_PASSPHRASE_CHARS} characters at least.`);
  }
  const { backUp } = await io.roles.backups();
  const manifest = await backUp(await requestOf(context, file, passphrase));
  if (options.json) io.out(`${JSON.stringify({ v: 1, file: resolve(file), ...manifest })}\n`);
  else io.out(`${file}: ${contentOf(manifest)}.\n`);
}

async function restore(context: Context, file: string, given: Given): Promise<void> {
  const { io, options } = context;
  const passphrase = await readPassphrase(context, given.passphraseFile);
  const roles = await io.roles.backups();
  const request = await requestOf(context, file, passphrase);
  const { manifest, before } = await roles.restore({ ...request, checkOnly: given.check === true });
  if (options.json) {
    io.out(`${JSON.stringify({ v: 1, before, ...manifest })}\n`);
    return;
  }
  const age = formatAge(request.nowMs - manifest.madeMs);
  io.out(`Made ${age} ago by Hatchway ${manifest.version}: ${contentOf(manifest)}.\n`);
  if (given.check === true) io.out("It is whole; nothing was changed.\n");
  else if (before === null) io.out("It is restored; nothing was there before.\n");
  else io.out(`It is restored. What was there before is in ${before}: delete it when all is well.\n`);
}

async function requestOf({ io, options }: Context, file: string, passphrase: string) {
  const { nowMs } = await import("../os/clock.ts");
  const { paths } = await findPlace({ io, options }, "relay");
  return { paths, file: resolve(file), passphrase, isRoot: io.isRoot, nowMs: nowMs() };
}

/** Never by an option of its own: other users of a machine can read its command lines. */
async function readPassphrase({ io }: Context, file: string): Promise<string> {
  const text = file === "-" ? await io.stdin() : await readSecretFile(file);
  const [first = ""] = text.split(/\r?\n/);
  if (first === "") throw new ControlError("usage", `There is no passphrase in the first line of ${file}.`);
  return first;
}

async function readSecretFile(file: string): Promise<string> {
  const { readPrivateText } = await import("../os/files.ts");
  const read = await readPrivateText(resolve(file));
  if (!read.ok) throw new ControlError("usage", read.error.message, { cause: read.error.cause });
  if (read.value === null) throw new ControlError("usage", `There is no file ${file} with a passphrase.`);
  return read.value;
}

function contentOf({ counts, parts }: BackupManifest): string {
  const { people, devices, forwards } = counts;
  return `${parts.length} files, with ${people} people, ${devices} devices and ${forwards} forwards`;
}
