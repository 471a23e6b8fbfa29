import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import type { Host, Machines } from "./lab.ts";
import { eventually, listening } from "./ready.ts";

/** Real programs and small peers that the scenarios put behind a forward or in front of it. */

const peer = (name: string): string => join(import.meta.dir, "peers", `${name}.ts`);
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;

/** Our own services (peers/service.ts), open when this resolves. */
export async function startService(lab: Machines, host: Host, ...specs: readonly string[]): Promise<Child> {
  const child = lab.spawn(host, [...BUN, peer("service"), ...specs]);
  await child.event("ready");
  return child;
}

/** A slow line from `port` of a host to another place (peers/delay.ts), open when this resolves. */
export async function startDelay(
  lab: Machines,
  host: Host,
  port: number,
  toHost: string,
  toPort: number,
  delayMs: number,
): Promise<Child> {
  const child = lab.spawn(host, [...BUN, peer("delay"), ...[port, toHost, toPort, delayMs].map(String)]);
  await child.event("ready");
  return child;
}

export function startVisitor(lab: Machines, host: Host, ...args: readonly (string | number)[]): Child {
  return lab.spawn(host, [...BUN, peer("visitor"), ...args.map(String)]);
}

/** Runs a visitor (peers/visitor.ts) to its end and gives its result. */
export async function visit<T>(lab: Machines, host: Host, ...args: readonly (string | number)[]): Promise<T> {
  await using child = startVisitor(lab, host, ...args);
  return await child.event<T>("done", { deadlineMs: 60_000 });
}

export async function visitUdp<T>(lab: Machines, host: Host, ...args: readonly (string | number)[]): Promise<T> {
  await using child = lab.spawn(host, [...BUN, peer("udp-visitor"), ...args.map(String)]);
  return await child.event<T>("done", { deadlineMs: 60_000 });
}

export interface SocksDnsAnswer {
  /** RFC 1928 section 6. */
  readonly reply: number;
  readonly address: string | null;
  /** `address:port` that the proxy's UDP header names. */
  readonly from: string | null;
}

/** Asks a DNS server for a name's address through SOCKS5's UDP ASSOCIATE. */
export async function askDnsThroughSocks(
  lab: Machines,
  host: Host,
  proxyPort: number,
  dnsHost: string,
  name: string,
): Promise<SocksDnsAnswer> {
  await using child = lab.spawn(host, [
    ...BUN,
    peer("socks-visitor"),
    "127.0.0.1",
    String(proxyPort),
    dnsHost,
    "53",
    name,
  ]);
  return await child.event<SocksDnsAnswer>("done");
}

/** One end of the connection as peers/visitor.ts saw it. */
export interface VisitEnd {
  readonly ended: boolean;
  readonly error: string | null;
  readonly ms: number;
}

/** nginx on `port` answers every GET with `page`; on `port + 1` with the address that PROXY protocol gave it. */
export async function startNginx(lab: Machines, host: Host, port: number, page: string): Promise<Child> {
  const directory = mkdtempSync(join(lab.directory, "nginx-"));
  const logs = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${directory};`)
    .join(" ");
  const config = `
    daemon off; master_process off; user root; pid ${directory}/pid; error_log stderr warn;
    events { worker_connections 512; }
    http { access_log off; ${logs}
      server { listen ${port}; listen [::]:${port}; return 200 "${page}"; }
      server { listen ${port + 1} proxy_protocol; return 200 "$proxy_protocol_addr $proxy_protocol_port"; } }`;
  writeFileSync(join(directory, "nginx.conf"), config);
  const child = lab.spawn(host, ["nginx", "-p", directory, "-e", "stderr", "-c", join(directory, "nginx.conf")]);
  await listening(child, "tcp", port);
  return child;
}

export interface SshServer {
  readonly child: Child;
  /** Arguments for ssh that let it in: key, port and the user are said, the host's key is known. */
  readonly clientArgs: (host: string, port: number) => readonly string[];
}

/** OpenSSH's server with a host key and a user key of its own. */
export async function startSshd(lab: Machines, host: Host, port: number): Promise<SshServer> {
  const directory = mkdtempSync(join(lab.directory, "sshd-"));
  for (const name of ["host", "user"]) {
    await lab.exec(host, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(directory, name)]);
  }
  // Where Debian's sshd confines its unprivileged half; the package's service makes it, and no service runs here.
  mkdirSync("/run/sshd", { recursive: true });
  const settings = {
    Port: port,
    HostKey: join(directory, "host"),
    PidFile: "none",
    AuthorizedKeysFile: join(directory, "user.pub"),
    PermitRootLogin: "prohibit-password",
    StrictModes: "no",
    UsePAM: "no",
  };
  const config = join(directory, "sshd_config");
  writeFileSync(
    config,
    Object.entries(settings)
      .map((pair) => pair.join(" "))
      .join("\n"),
  );
  const child = lab.spawn(host, ["/usr/sbin/sshd", "-D", "-e", "-f", config]);
  await listening(child, "tcp", port);
  const options = [
    "StrictHostKeyChecking=no",
    `UserKnownHostsFile=${directory}/known`,
    "BatchMode=yes",
    "LogLevel=ERROR",
  ];
  const clientArgs = (target: string, targetPort: number): string[] => [
    "ssh",
    "-F",
    "none",
    "-i",
    join(directory, "user"),
    ...options.flatMap((option) => ["-o", option]),
    "-p",
    String(targetPort),
    `root@${target}`,
  ];
  return { child, clientArgs };
}

export async function startIperf(lab: Machines, host: Host, port: number): Promise<Child> {
  const child = lab.spawn(host, ["iperf3", "-s", "-p", String(port)]);
  await listening(child, "tcp", port);
  return child;
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: { readonly lost_percent: number; readonly packets: number; readonly bits_per_second: number };
  };
}

/** Runs iperf3's client and gives the end of its report. A server that has not done with the client before refuses it. */
export async function iperf(lab: Machines, host: Host, args: readonly string[]): Promise<IperfReport["end"]> {
  const { exitCode, stdout, stderr } = await eventually("iperf3's server has done with the one before", async () => {
    const result = await lab.exec(host, ["iperf3", "-J", ...args]);
    return result.stdout.includes("the server is busy") ? undefined : result;
  });
  if (exitCode !== 0) throw new Error(`iperf3 ${args.join(" ")} failed: ${stdout.slice(-500)} ${stderr}`);
  const { end, error } = JSON.parse(stdout) as IperfReport;
  if (error !== undefined) throw new Error(`iperf3 ${args.join(" ")}: ${error}`);
  return end;
}

/**
 * For curl, where a firewall may drop it: that the kernel does not answer is known after a second; what answers is a
 * program, which may take its time on a busy machine.
 */
export const CONNECTS_OR_NOT = ["--connect-timeout", "1", "--max-time", "15"] as const;

export async function curl(
  lab: Machines,
  host: Host,
  ...args: readonly string[]
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return await lab.exec(host, ["curl", "-sS", "--noproxy", "-", "--max-time", "15", ...args]);
}
