import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { type Home, query } from "./hatchway.ts";
import type { Host, Machines } from "./lab.ts";
import { eventually } from "./ready.ts";

/** Debian's OpenSSH and PuTTY against a relay's SSH server. */

export const SSH_PORT = 2222;
export const SSH_TOML = `[ssh]\nlisten = "*:${SSH_PORT}"\n`;

/** A key pair; the private one's path. */
export async function newKey(lab: Machines, host: Host, name: string, type = "ed25519"): Promise<string> {
  const path = join(lab.directory, name);
  const made = await lab.exec(host, ["ssh-keygen", "-q", "-t", type, "-N", "", "-C", name, "-f", path]);
  if (made.exitCode !== 0) throw new Error(made.stderr);
  return path;
}

/** A new key that the relay knows as the device of that name. */
export async function newDevice(lab: Machines, relay: Home, name: string, ...more: readonly string[]): Promise<string> {
  const key = await newKey(lab, relay.host, name);
  await query(lab, relay, "ssh-key", "add", `${key}.pub`, "--name", name, ...more);
  return key;
}

/** Arguments of OpenSSH's client for a key. */
export function sshArgs(lab: Machines, key: string, ...options: readonly string[]): string[] {
  const known = join(lab.directory, "known_hosts");
  const settings = [
    "StrictHostKeyChecking=accept-new",
    `UserKnownHostsFile=${known}`,
    "BatchMode=yes",
    "LogLevel=INFO",
  ];
  return [
    "ssh",
    "-F",
    "none",
    "-p",
    String(SSH_PORT),
    "-i",
    key,
    // What is said first counts.
    ...[...options, "IdentitiesOnly=yes", "ExitOnForwardFailure=yes", ...settings].flatMap((one) => ["-o", one]),
  ];
}

/** What it says when every `-R` has its answer; and when there are none, that it is in. */
const ALL_ANSWERED = "all expected forwarding replies received";
const IN_SESSION = "Entering interactive session";

/** ssh that stays, once its forwards are open: it tells so in its debug log alone. */
export async function stay(
  lab: Machines,
  host: Host,
  relay: Host,
  key: string,
  ...args: readonly string[]
): Promise<Child> {
  const child = lab.spawn(host, [...sshArgs(lab, key, "LogLevel=DEBUG1"), "-N", ...args, relay.v4]);
  const sign = args.includes("-R") ? ALL_ANSWERED : IN_SESSION;
  await eventually(`ssh ${args.join(" ")}`, () =>
    child.stderr.some((line) => line.includes(sign)) ? true : undefined,
  );
  return child;
}

/** The port that `-R 0:` got, as OpenSSH tells it. */
export function allocatedPort(child: Child): Promise<number> {
  return eventually("the allocated port", () => {
    const found = child.stderr.map((line) => /Allocated port (\d+)/.exec(line)?.[1]).find((port) => port !== undefined);
    return found === undefined ? undefined : Number(found);
  });
}

export const readKey = (key: string): string => readFileSync(`${key}.pub`, "utf8");
