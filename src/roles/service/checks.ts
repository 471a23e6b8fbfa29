import { existsSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ServiceSpec, startsAsRoot } from "../../core/service/model.ts";
import { findUser, type SystemUser } from "../../os/users.ts";
import { ControlError } from "../../servers/local/control.ts";
import { openAgentState } from "../../store/agent-state.ts";
import { gatewaySettings } from "../config/gateway.ts";
import { agentSettings, loadConfig, pathBeside, relaySettings } from "../config/load.ts";
import type { ServiceHost } from "./host.ts";
import { SERVICE_USER } from "./plan.ts";

/** Reading a file, and passing through a folder: the bits of the mode for others. */
const READ = 0o4;
const PASS = 0o1;

/** What PrivateTmp= puts an empty folder in the place of. */
const TEMPORARY = /^(\/var)?\/tmp(\/|$)/;

/** All that can be known to be wrong before anything is changed. Rejects with ControlError `usage`. */
export async function checkService(host: ServiceHost, spec: ServiceSpec): Promise<void> {
  await checkConfig(host, spec);
  if (spec.role === "agent" && !spec.withoutRelay) await checkJoined(host, spec);
  if (spec.scope === "user") return;
  const hidden = [...spec.program, spec.dataDir, spec.configFile ?? ""].find((path) => TEMPORARY.test(path));
  if (hidden !== undefined) {
    const message = `A service has a /tmp of its own, and does not see ${hidden}: put it elsewhere, the program into /opt/hatchway for one.`;
    throw new ControlError("usage", message);
  }
  const name = spec.user ?? SERVICE_USER;
  const user = findUser([name], `${host.root}/etc/passwd`);
  for (const path of host.programFiles) {
    const closed = firstClosed(path, user);
    if (closed === null) continue;
    const message = `User ${name} may not read ${closed}, where this program is: put it where everybody may read it, such as /opt/hatchway.`;
    throw new ControlError("usage", message);
  }
  const { configFile } = spec;
  const closed = configFile === null ? null : firstClosed(host.root + configFile, user);
  if (closed === null) return;
  const message = `User ${name} may not read ${closed}: run chmod o+rX on it, or give it to that user's group.`;
  throw new ControlError("usage", message);
}

async function checkConfig(host: ServiceHost, spec: ServiceSpec): Promise<void> {
  const path = host.root + (spec.configFile ?? join(spec.dataDir, "hatchway.toml"));
  const config = await loadConfig(path, spec.configFile !== null);
  // Each throws for what only its role can tell.
  if (spec.role === "relay") relaySettings(config);
  if (spec.role === "agent") agentSettings(config);
  if (!startsAsRoot(spec)) return;
  const { wan } = gatewaySettings(config.file, pathBeside(config));
  if (wan.length > 0) return;
  const message = `A gateway needs to know where visitors come in: write [gateway] with wan = ["eth0"], or what it is called here, into ${path}.`;
  throw new ControlError("usage", message);
}

async function checkJoined(host: ServiceHost, { dataDir, scope }: ServiceSpec): Promise<void> {
  const state = await openAgentState(host.root + dataDir);
  if (!state.ok) throw new ControlError("usage", state.error.message);
  if (state.value.enrolment() !== null) return;
  const data = scope === "system" ? ` --data ${dataDir}` : "";
  const message = `This machine has not joined a relay: run \`hatchway agent --join -${data}\` once, paste the code, stop it by Ctrl-C when it is connected, and install the service then.`;
  throw new ControlError("usage", message);
}

/** The first part of a path that the user may not pass, or the file that it may not read; null = all is open to it. */
export function firstClosed(path: string, user: SystemUser | null): string | null {
  if (!existsSync(path)) return null;
  const file = realpathSync(path);
  const folders: string[] = [];
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (dirname(folder) === folder) break;
  }
  const closed = folders.find((folder) => !may(statSync(folder), PASS, user));
  return closed ?? (may(statSync(file), READ, user) ? null : file);
}

/** Of the user's groups only its first is looked at: a user of a service has no other. */
function may({ mode, uid, gid }: Stats, bit: number, user: SystemUser | null): boolean {
  if (user !== null && uid === user.uid) return (mode & (bit << 6)) !== 0;
  if (user !== null && gid === user.gid) return (mode & (bit << 3)) !== 0;
  return (mode & bit) !== 0;
}
