import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, run } from "../lab/commands.ts";
import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { Absent, askVersion, type Forward, type RemotePeer } from "./peer.ts";

const PORT = 7022;
/** The fastest cipher of OpenSSH on processors with AES instructions. */
const CIPHER = "aes128-gcm@openssh.com";
/** sshd wants this directory, which Debian makes when the service starts. */
const PRIVILEGE_SEPARATION = "/run/sshd";
/** ssh does not connect again by itself: this loop is what people put around it, with autossh or systemd. */
const RESTART_LOOP = 'while :; do ssh "$@"; sleep 1; done';

export const openssh: RemotePeer = {
  name: "OpenSSH -R",
  type: "remote",
  encryption: "SSH, AES-128-GCM",
  protocols: ["tcp"],
  version: () => askVersion("ssh", ["-V"], /OpenSSH_([^ ,]+)/),

  async startRelay(site) {
    const daemon = findProgram("sshd");
    if (daemon === null) throw new Absent('no program "sshd"');
    await mkdir(PRIVILEGE_SEPARATION, { recursive: true });
    const at = (file: string) => join(site.directory, file);
    for (const key of ["host", "agent"]) await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(key)]);
    const settings = [
      `Port ${PORT}`,
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("agent.pub")}`,
      `Ciphers ${CIPHER}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin prohibit-password",
      "AllowTcpForwarding yes",
      "GatewayPorts yes",
      "ClientAliveInterval 10",
      "ClientAliveCountMax 3",
      "PidFile none",
    ];
    await Bun.write(at("sshd_config"), `${settings.join("\n")}\n`);
    const relay = await site.start("relay", [daemon, "-D", "-e", "-f", at("sshd_config")]);
    await relay.listening(PORT);
  },

  async startAgent(site, forwards) {
    await startSsh(site, { port: PORT, user: "root", key: "agent", bind: "0.0.0.0:" }, forwards);
  },
};

export interface SshServer {
  readonly port: number;
  readonly user: string;
  /** A file of the site's directory. */
  readonly key: string;
  /** Before the port of `-R`. */
  readonly bind: string;
}

/** OpenSSH's client with a `-R` for each forward, again and again. */
export async function startSsh(
  site: Site,
  { port, user, key, bind }: SshServer,
  forwards: readonly Forward[],
): Promise<void> {
  const options = [
    `Ciphers=${CIPHER}`,
    "StrictHostKeyChecking=no",
    `UserKnownHostsFile=${join(site.directory, "known_hosts")}`,
    "ExitOnForwardFailure=yes",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
  ];
  await site.start("agent", [
    ...["sh", "-c", RESTART_LOOP, "sh", "-N", "-T", "-F", "/dev/null"],
    ...["-i", join(site.directory, key), "-p", `${port}`],
    ...options.flatMap((option) => ["-o", option]),
    ...forwards.flatMap((forward) => ["-R", `${bind}${forward.entryPort}:127.0.0.1:${forward.servicePort}`]),
    `${user}@${ADDRESS.relay}`,
  ]);
}
