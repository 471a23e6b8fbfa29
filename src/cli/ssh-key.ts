import type { Command } from "commander";
import type { SshKeyInfo } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { parsePortSet } from "../wire/port-set.ts";
import type { Context, Run } from "./context.ts";
import { parsedOption } from "./parse.ts";
import { relayOf } from "./relay-of.ts";
import { formatAge, formatTable, printable } from "./text.ts";

interface AddOptions {
  readonly name: string;
  readonly account?: string;
  readonly ports?: string;
}

const STDIN = "-";

export function defineSshKey(program: Command, run: Run): void {
  const group = program
    .command("ssh-key")
    .summary("let plain ssh in, with a key: nothing to install there")
    .description(
      "The public keys of SSH clients, each a device's. With [ssh] in hatchway.toml the relay is an SSH server: ssh -p 2222 -R 8080:localhost:80 RELAY opens a port without an agent.",
    );
  group
    .command("add")
    .summary("let a key in")
    .description("Lets the holder of a key in, as the device of that name: a new one, or one that is there.")
    .argument("<KEYFILE>", 'the public key, a file that ends in .pub; "-" reads standard input')
    .requiredOption("--name <DEVICE>", "the device that it is")
    .option("--account <ACCOUNT>", "whose device (default: the first account)")
    .option("--ports <PORTSET>", "the public ports that a new device may open (default: all of its account's)")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"key":{"fingerprint":…,"type":…,"comment":…,"device":…,"account":…,"ports":…|null,"addedMs":…,"lastUsedMs":…|null}}

Examples:
  hatchway ssh-key add ~/.ssh/id_ed25519.pub --name laptop
  ssh-add -L | hatchway ssh-key add - --name laptop --ports 8000-8099`,
    )
    .action(async (file: string, given: AddOptions, command: Command) =>
      run(command, (context) => add(context, file, given)),
    );
  group
    .command("ls")
    .summary("list the keys")
    .description("Lists the keys of the relay's SSH clients.")
    .addHelpText("after", '\nWith --json: {"v":1,"keys":[…]}\n\nExample:\n  hatchway ssh-key ls')
    .action(async (_given: unknown, command: Command) => run(command, list));
  group
    .command("rm")
    .summary("let a key in no more: its connections end at once")
    .description(
      "Removes a key and ends its connections. The last key of a device that has no agent takes the device with it: its ports are free.",
    )
    .argument("<KEY>", "its fingerprint (SHA256:…) or comment")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"key":{…},"deviceRevoked":true|false}\n\nExample:\n  hatchway ssh-key rm ada@laptop',
    )
    .action(async (key: string, _given: unknown, command: Command) => run(command, (context) => remove(context, key)));
  group
    .command("host")
    .summary("show the relay's own key, for known_hosts")
    .description("Prints the relay's host key as a line for known_hosts: whoever has it is not asked at first contact.")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"host":…,"port":…,"fingerprint":…,"knownHosts":…}

Example:
  hatchway ssh-key host >> ~/.ssh/known_hosts`,
    )
    .action(async (_given: unknown, command: Command) => run(command, host));
  group
    .command("export")
    .summary("write this device's own key to a file that ssh takes")
    .description(
      "Writes the key of the agent of --data to a new file, for ssh -i: whoever has it is this device, by SSH as by the agent. hatchway devices revoke ends both. It has no passphrase: ssh-keygen -p -f FILE gives it one.",
    )
    .argument("<FILE>", "a file that is not there yet; nobody else may read it")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"file":…,"device":…,"host":…,"publicKey":…,"fingerprint":…}

Example:
  hatchway ssh-key export ~/.ssh/attic && ssh -p 2222 -i ~/.ssh/attic -N -R 8080:localhost:80 relay.example`,
    )
    .action(async (file: string, _given: unknown, command: Command) =>
      run(command, (context) => exportKey(context, file)),
    );
}

async function exportKey(context: Context, file: string): Promise<void> {
  if (context.options.remote !== undefined) {
    throw new ControlError("usage", "The key of a device is exported on its own machine: leave --remote out.");
  }
  const { findPlace } = await import("./data-dir.ts");
  const { exportSshKey } = await import("../roles/ssh-export.ts");
  const { paths } = await findPlace(context, "agent");
  const check = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const exported = await exportSshKey(paths.directory, file, check);
  if (context.options.json) {
    context.io.out(`${JSON.stringify({ v: 1, file, ...exported })}\n`);
    return;
  }
  const { device, host: relay } = exported;
  context.io.err(
    `Wrote ${printable(file)}: ssh -p PORT -i FILE ${printable(relay)} comes in as ${printable(device)}, where PORT is that of [ssh] at the relay.\n`,
  );
}

async function add(context: Context, file: string, { name, account, ports }: AddOptions): Promise<void> {
  if (ports !== undefined) parsedOption("--ports", ports, parsePortSet);
  const key = await readKey(file);
  const relay = await relayOf(context);
  const added = await relay.addSshKey({
    key,
    name,
    ...(account === undefined ? {} : { account }),
    ...(ports === undefined ? {} : { ports }),
  });
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, key: added })}\n`);
  else context.io.err(`The key ${added.fingerprint} is the device ${printable(added.device)}.\n`);
}

async function readKey(file: string): Promise<string> {
  if (file === STDIN) return Bun.stdin.text();
  const { readText } = await import("../os/files.ts");
  const text = await readText(file);
  if (!text.ok) throw new ControlError("usage", text.error.message, { cause: text.error.cause });
  if (text.value === null) throw new ControlError("usage", `There is no file ${file}: make a key with ssh-keygen.`);
  return text.value;
}

async function list(context: Context): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const keys = await (await relayOf(context)).listSshKeys();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, keys })}\n`);
  else if (keys.length === 0)
    context.io.out("No SSH keys: let one in with `hatchway ssh-key add FILE.pub --name DEVICE`.\n");
  else context.io.out(`${keysTable(keys, nowMs())}\n`);
}

function keysTable(keys: readonly SshKeyInfo[], nowMs: number): string {
  const rows = keys.map(({ device, account, comment, fingerprint, ports, lastUsedMs }) => [
    printable(device),
    printable(account),
    printable(comment),
    fingerprint,
    ports ?? "all",
    lastUsedMs === null ? "never" : `${formatAge(nowMs - lastUsedMs)} ago`,
  ]);
  return formatTable(["DEVICE", "ACCOUNT", "COMMENT", "FINGERPRINT", "PORTS", "USED"], rows);
}

async function remove(context: Context, fingerprintOrComment: string): Promise<void> {
  const { key, deviceRevoked } = await (await relayOf(context)).removeSshKey(fingerprintOrComment);
  const { options, io } = context;
  if (options.json) io.out(`${JSON.stringify({ v: 1, key, deviceRevoked })}\n`);
  else {
    const also = deviceRevoked ? `, and the device ${printable(key.device)} with it` : "";
    io.err(`Removed ${key.fingerprint}${also}.\n`);
  }
}

async function host(context: Context): Promise<void> {
  const found = await (await relayOf(context)).sshHost();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, ...found })}\n`);
  else {
    context.io.out(`${found.knownHosts}\n`);
    context.io.err(`Its fingerprint is ${found.fingerprint}.\n`);
  }
}
