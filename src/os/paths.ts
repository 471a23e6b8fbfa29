import { mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { err, ok, type Result } from "../wire/result.ts";
import { type FileError, fileError, HAS_POSIX_FILES, PRIVATE_DIRECTORY_MODE } from "./files.ts";

/** What a data directory holds: absolute paths. A relay and an agent may share one. */
export interface DataPaths {
  readonly directory: string;
  /** The relay's store (SQLite; `-wal` and `-shm` stand beside it while it is open). */
  readonly database: string;
  readonly relayCertificate: string;
  readonly relayKey: string;
  /** What ACME gave, and the account's key. */
  readonly acmeState: string;
  /** The same for each site: a directory of directories. */
  readonly sites: string;
  readonly sshHostKey: string;
  readonly deviceKey: string;
  /** The agent's enrolment and added forwards. */
  readonly agentState: string;
  /** Where local commands talk to the running relay, agent and gateway. */
  readonly relaySocket: string;
  readonly agentSocket: string;
  readonly gatewaySocket: string;
  /** Where the process that takes a relay over talks to the one before it. */
  readonly upgradeSocket: string;
  /** Of the gateway's privileged helper: root's own, whoever owns the rest. */
  readonly privileged: string;
}

/** `sun_path` holds 108 bytes on Linux, 104 on macOS and the BSDs, with its closing zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;
const WRITABLE_BY_OTHERS = 0o022;

export function dataPaths(directory: string): DataPaths {
  const root = resolve(directory);
  return {
    directory: root,
    database: join(root, "hatchway.db"),
    relayCertificate: join(root, "relay-cert.pem"),
    relayKey: join(root, "relay-key.pem"),
    acmeState: join(root, "acme.json"),
    sites: join(root, "names"),
    sshHostKey: join(root, "ssh_host_ed25519_key"),
    deviceKey: join(root, "device-key.pem"),
    agentState: join(root, "agent.json"),
    relaySocket: join(root, "relay.sock"),
    agentSocket: join(root, "agent.sock"),
    gatewaySocket: join(root, "gateway.sock"),
    upgradeSocket: join(root, "upgrade.sock"),
    privileged: join(root, "privileged"),
  };
}

/** Every file, and directory of files, that a relay or an agent keeps there, whether it is there or not. */
export function dataFiles(directory: string): string[] {
  const { database, relaySocket, agentSocket, gatewaySocket, ...paths } = dataPaths(directory);
  const sockets = [relaySocket, agentSocket, gatewaySocket].map((path) => `${path}.lock`);
  const { relayCertificate, relayKey, acmeState, sites, sshHostKey, deviceKey, agentState } = paths;
  const kept = [relayCertificate, relayKey, acmeState, sites, sshHostKey, deviceKey, agentState];
  return [database, `${database}-wal`, `${database}-shm`, ...kept, ...sockets];
}

/** By how many bytes the paths of the sockets are too long for the system; 0 = they fit. */
export function socketPathExcess({ relaySocket, agentSocket, gatewaySocket }: DataPaths): number {
  if (!HAS_POSIX_FILES) return 0;
  const longest = Math.max(...[relaySocket, agentSocket, gatewaySocket].map((path) => Buffer.byteLength(path)));
  return Math.max(0, longest - SOCKET_PATH_BYTES_MAX);
}

/**
 * Makes the directory, mode 0700, when it is not there. One that is there keeps its mode (it may be anything the user
 * named), but must not be writable by others: they could put their own keys and database in place of ours.
 */
export async function openDataDirectory(directory: string): Promise<Result<DataPaths, FileError>> {
  const paths = dataPaths(directory);
  const excess = socketPathExcess(paths);
  if (excess > 0) {
    const message = `The path ${paths.directory} is ${excess} bytes too long for the sockets in it: choose a shorter one with --data.`;
    return err({ kind: "io", message });
  }
  try {
    await mkdir(paths.directory, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
    const { mode } = await stat(paths.directory);
    if (HAS_POSIX_FILES && (mode & WRITABLE_BY_OTHERS) !== 0) {
      const message = `Others may write to ${paths.directory}: run chmod 700 on it, or choose another directory with --data.`;
      return err({ kind: "exposed", message });
    }
    return ok(paths);
  } catch (cause) {
    return err(fileError(cause, "create", paths.directory));
  }
}
