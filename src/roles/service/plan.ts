import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { launchdLabel, launchdPlist } from "../../core/service/launchd.ts";
import { type CommentStyle, HASH_COMMENT, marked, XML_COMMENT } from "../../core/service/mark.ts";
import {
  type RenderService,
  type ServiceManager,
  type ServiceRole,
  type ServiceScope,
  type ServiceSpec,
  serviceName,
  startsAsRoot,
} from "../../core/service/model.ts";
import { systemdUnit } from "../../core/service/systemd.ts";
import { windowsTask } from "../../core/service/windows.ts";
import { ControlError } from "../../servers/local/control.ts";
import { gatewaySettings } from "../config/gateway.ts";
import { type Config, loadConfig, pathBeside } from "../config/load.ts";
import type { RenderedService, ServiceRequest } from "./control.ts";
import type { ServiceHost } from "./host.ts";

/** Whom a service of the system runs as, when nobody says. */
export const SERVICE_USER = "hatchway";
const SYSTEM_CONFIG = "/etc/hatchway/hatchway.toml";
const CONFIG_NAME = "hatchway.toml";
/** systemd.exec(5), $PATH: what it gives its services. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const RENDER: Readonly<Record<ServiceManager, RenderService>> = {
  systemd: systemdUnit,
  launchd: launchdPlist,
  windows: windowsTask,
};
const COMMENTS: Readonly<Record<ServiceManager, CommentStyle>> = {
  systemd: HASH_COMMENT,
  launchd: XML_COMMENT,
  windows: XML_COMMENT,
};

export function commentStyle(manager: ServiceManager): CommentStyle {
  return COMMENTS[manager];
}

/** Where the manager looks for the service's file; the Task Scheduler takes it from anywhere. */
export function serviceFile(
  host: ServiceHost,
  {
    manager,
    scope,
    role,
  }: { readonly manager: ServiceManager; readonly scope: ServiceScope; readonly role: ServiceRole },
): string {
  const { home, environment } = host;
  const isSystem = scope === "system";
  switch (manager) {
    case "systemd": {
      const config = environment["XDG_CONFIG_HOME"] || join(home, ".config");
      return `${isSystem ? "/etc/systemd/system" : join(config, "systemd/user")}/${serviceName(role)}.service`;
    }
    case "launchd":
      return `${isSystem ? "" : home}/Library/Launch${isSystem ? "Daemons" : "Agents"}/${launchdLabel(role)}.plist`;
    case "windows":
      return `${windowsData(host, scope)}\\${serviceName(role)}.xml`;
    default:
      return manager satisfies never;
  }
}

/** What the service will be: with the defaults, and after a look at its config. Rejects with ControlError `usage`. */
export async function planService(host: ServiceHost, request: ServiceRequest): Promise<ServiceSpec> {
  const { role, scope, withoutRelay } = request;
  if (withoutRelay && role !== "agent") throw new ControlError("usage", "--no-relay is for an agent.");
  const dataDir = request.dataDir ?? defaultData(host, request);
  const isSystem = scope === "system";
  const named = request.configFile ?? (isSystem && existsSync(host.root + SYSTEM_CONFIG) ? SYSTEM_CONFIG : null);
  const config = await loadConfig(host.root + (named ?? join(dataDir, CONFIG_NAME)), request.configFile !== null);
  const withGateway = role === "relay" && config.file.gateway !== undefined;
  const asRoot = startsAsRoot({ role, withGateway });
  if (asRoot && request.manager !== "systemd") {
    throw new ControlError("usage", "A gateway is for Linux: its kernel does the forwarding.");
  }
  if (asRoot && request.user !== null && request.user !== SERVICE_USER) {
    const message = `A gateway starts as root and becomes another user by itself: write "user" in [gateway] in place of --user.`;
    throw new ControlError("usage", message);
  }
  if (!isSystem && role !== "agent") {
    throw new ControlError("usage", `A ${role} is a service of the system: run this as root.`);
  }
  if (isSystem && request.manager === "launchd" && request.user === null) {
    throw new ControlError(
      "usage",
      "Say whom the service runs as: --user and the name of a user of this Mac, not root.",
    );
  }
  return {
    role,
    scope,
    program: host.program,
    dataDir,
    configFile: named,
    user: isSystem && request.manager !== "windows" ? userOf(request, config, asRoot) : null,
    withGateway,
    withoutRelay,
    path: bunIsElsewhere(host) ? `${dirname(process.execPath)}:${SYSTEM_PATH}` : null,
  };
}

/** A gateway's is in its config, because it becomes the user by itself. */
function userOf({ user }: ServiceRequest, config: Config, asRoot: boolean): string {
  return (asRoot ? gatewaySettings(config.file, pathBeside(config)).user : user) ?? SERVICE_USER;
}

/** The file as it is installed: with the mark that says who wrote it. */
export async function renderService(host: ServiceHost, request: ServiceRequest): Promise<RenderedService> {
  return renderSpec(host, request, await planService(host, request));
}

export function renderSpec(host: ServiceHost, request: ServiceRequest, spec: ServiceSpec): RenderedService {
  const made = RENDER[request.manager](spec);
  if (!made.ok) throw new ControlError("usage", made.error);
  return { file: serviceFile(host, request), text: marked(made.value, spec, commentStyle(request.manager)) };
}

function defaultData(host: ServiceHost, { manager, scope }: ServiceRequest): string {
  if (manager === "windows") return windowsData(host, scope);
  if (scope === "system") return "/var/lib/hatchway";
  return join(host.environment["XDG_DATA_HOME"] || join(host.home, ".local", "share"), "hatchway");
}

function windowsData({ environment, home }: ServiceHost, scope: ServiceScope): string {
  if (scope === "system") return `${environment["ProgramData"] ?? "C:\\ProgramData"}\\Hatchway`;
  return `${environment["LOCALAPPDATA"] ?? `${home}\\AppData\\Local`}\\Hatchway`;
}

/** bin/hatchway looks beside itself first, and then in the PATH, of which a service has little. */
function bunIsElsewhere({ program: [script = ""] }: ServiceHost): boolean {
  if (!script.endsWith("/bin/hatchway") || script === process.execPath) return false;
  const root = dirname(dirname(script));
  return ![join(root, "node_modules/bun"), join(dirname(root), "bun")].some((path) => existsSync(path));
}
