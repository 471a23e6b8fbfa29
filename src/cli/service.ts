import { resolve } from "node:path";
import { Argument, type Command, Option } from "commander";
import { SERVICE_MANAGERS, SERVICE_ROLES, type ServiceManager, type ServiceRole } from "../core/service/model.ts";
import type { InstallReport, ServiceRequest, ServiceStatus, UninstallReport } from "../roles/service/control.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { printable, printableLines } from "./text.ts";

interface Given {
  readonly user?: string;
  readonly now?: true;
  readonly print?: true;
  readonly force?: true;
  /** False: --no-relay. */
  readonly relay?: boolean;
  readonly manager?: ServiceManager;
}

export function defineService(program: Command, run: Run): void {
  const group = program
    .command("service")
    .summary("let a relay, agent or gateway start with the system")
    .description(
      "Installs what keeps a relay, an agent or a gateway running: a unit of systemd, with as few rights as it can do its work with. On macOS and Windows, the file for launchd and for the Task Scheduler, with the command that takes it up.",
    );
  const role = () => new Argument("<ROLE>", "relay, agent or gateway").choices(SERVICE_ROLES);
  group
    .command("install")
    .summary("install a service; again, it changes nothing")
    .description(
      "Checks the config, makes a user without a login and the data directory, writes the service's file and lets it start with the system. As an ordinary user: a service of your own, for an agent. A second time it changes only what is not as it should be.",
    )
    .addArgument(role())
    .option("--now", "start it as well, or start it again when its file changed")
    .option("--user <NAME>", "a user that is there already, to run as (default: hatchway, made if need be)")
    .option("--no-relay", "of an agent: connect to no relay (see `hatchway agent --no-relay`)")
    .option("--print", "print the file, and do nothing")
    .option("--force", "go over a file that somebody else wrote or changed")
    .addOption(managerOption("of --print"))
    .addHelpText(
      "after",
      `
Without --data: /var/lib/hatchway, as a user's own ~/.local/share/hatchway. Without --config: /etc/hatchway/hatchway.toml
when it is there, else hatchway.toml in the data directory. An agent joins its relay once before, as
\`hatchway agent --join -\`; what root joined is handed to the service's user.
With --json: {"v":1,"role":…,"manager":…,"name":…,"file":…,"data":…,"config":…|null,"user":…|null,"changed":…,
  "done":[…],"running":…,"next":[…]}, and with --print {"v":1,"file":…,"text":…}

Examples:
  hatchway service install relay --now
  hatchway service install agent --data /srv/hatchway --user ann
  hatchway service install gateway --config /etc/hatchway/hatchway.toml --print`,
    )
    .action(async (name: ServiceRole, given: Given, command: Command) =>
      run(command, (context) => install(context, name, given)),
    );
  group
    .command("uninstall")
    .summary("stop a service and remove its file; the data stays")
    .description("Stops the service, lets it start no more and removes its file. The data directory and the user stay.")
    .addArgument(role())
    .option("--force", "remove a file that somebody else wrote or changed, too")
    .addOption(managerOption())
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"role":…,"file":…,"removed":…,"data":…|null,"next":[…]}\n\nExample:\n  hatchway service uninstall relay',
    )
    .action(async (name: ServiceRole, given: Given, command: Command) =>
      run(command, (context) => uninstall(context, name, given)),
    );
  group
    .command("status")
    .summary("say what is installed, what runs, in which version, and where its log is")
    .description(
      "Says of each service whether it is installed, starts with the system and runs, which program and version that is, and where its log is.",
    )
    .addArgument(new Argument("[ROLE]", "one alone (default: all that are installed)").choices(SERVICE_ROLES))
    .addOption(managerOption())
    .addHelpText(
      "after",
      `
Exit code 4 when none is installed, or one of them does not run.
With --json: {"v":1,"services":[{"role":…,"scope":"system"|"user","name":…,"file":…,"state":"absent"|"foreign"|"edited"|"whole","enabled":…,
  "running":…,"active":…|null,"pid":…|null,"version":…|null,"program":[…]|null,"programVersion":…|null,
  "data":…|null,"user":…|null,"log":…}]}: foreign, edited: not of \`service install\`, or changed by hand since

Examples:
  hatchway service status
  hatchway service status relay --json`,
    )
    .action(async (name: ServiceRole | undefined, given: Given, command: Command) =>
      run(command, (context) => status(context, name, given)),
    );
}

function managerOption(what = ""): Option {
  const text = `${what === "" ? "" : `${what}: `}systemd, launchd or windows (default: this system's)`;
  return new Option("--manager <MANAGER>", text).choices(SERVICE_MANAGERS);
}

const MANAGERS: Partial<Record<NodeJS.Platform, ServiceManager>> = { darwin: "launchd", win32: "windows" };

function ownManager(): ServiceManager {
  return MANAGERS[process.platform] ?? "systemd";
}

/** Root's services are the system's; an ordinary user has an agent of their own, and may look at the rest. */
function requestOf({ io, options }: Context, role: ServiceRole, given: Given): ServiceRequest {
  const { data, config } = options;
  const isOwn = role === "agent" && given.user === undefined && !io.isRoot;
  const dataDir = data ?? (io.env["HATCHWAY_DATA"] || undefined);
  return {
    role,
    manager: given.manager ?? ownManager(),
    scope: isOwn ? "user" : "system",
    dataDir: dataDir === undefined ? null : resolve(dataDir),
    configFile: config === undefined ? null : resolve(config),
    user: given.user ?? null,
    withoutRelay: given.relay === false,
  };
}

async function openServices({ io }: Context) {
  return (await io.roles.services())();
}

async function install(context: Context, role: ServiceRole, given: Given): Promise<void> {
  const { io, options } = context;
  const request = requestOf(context, role, given);
  const services = await openServices(context);
  if (given.print === true) {
    const rendered = await services.render(request);
    io.out(options.json ? `${JSON.stringify({ v: 1, ...rendered })}\n` : rendered.text);
    return;
  }
  refuseOtherManager(request);
  const report = await services.install(request, { now: given.now === true, force: given.force === true });
  if (options.json) io.out(`${JSON.stringify({ v: 1, ...report })}\n`);
  else io.err(installText(report));
}

function refuseOtherManager({ manager }: ServiceRequest): void {
  if (manager === ownManager()) return;
  throw new ControlError("usage", `This system has no ${manager}: --manager is for --print here.`);
}

function installText({ name, changed, done, running, next }: InstallReport): string {
  const state = `${name} is installed already${running ? " and runs" : ""}; nothing changed.`;
  return [...(changed ? done : [state]), ...next].map((line) => `${printable(line)}\n`).join("");
}

async function uninstall(context: Context, role: ServiceRole, given: Given): Promise<void> {
  const { io, options } = context;
  const request = requestOf(context, role, given);
  refuseOtherManager(request);
  const report = await (await openServices(context)).uninstall(request, { force: given.force === true });
  if (options.json) io.out(`${JSON.stringify({ v: 1, ...report })}\n`);
  else io.err(uninstallText(report));
}

function uninstallText({ role, file, removed, data, next }: UninstallReport): string {
  if (!removed) return `No ${role} is installed (there is no ${printable(file)}): nothing changed.\n`;
  const kept = data === null ? [] : [`Its data is still in ${data}.`];
  return [`Removed ${file}; the ${role} is stopped.`, ...kept, ...next].map((line) => `${printable(line)}\n`).join("");
}

async function status(context: Context, role: ServiceRole | undefined, given: Given): Promise<number> {
  const { io, options } = context;
  const services = await openServices(context);
  const roles = role === undefined ? SERVICE_ROLES : [role];
  const found = await Promise.all(
    roles.map(async (one) => {
      const request = requestOf(context, one, given);
      const own = await services.status(request);
      // An agent of the system's, which an ordinary user may look at when they have none of their own.
      return own.state === "absent" && request.scope === "user"
        ? services.status({ ...request, scope: "system" })
        : own;
    }),
  );
  const shown = role === undefined ? found.filter(({ state }) => state !== "absent") : found;
  if (options.json) io.out(`${JSON.stringify({ v: 1, services: shown })}\n`);
  else io.out(statusText(shown));
  const allRun = shown.length > 0 && shown.every(({ running }) => running);
  return allRun ? EXIT_CODES.ok : EXIT_CODES.unreachable;
}

function statusText(services: readonly ServiceStatus[]): string {
  if (services.length === 0) return "No service is installed: `hatchway service install relay`, agent or gateway.\n";
  return `${services.map((one) => serviceText(one)).join("\n\n")}\n`;
}

function serviceText(service: ServiceStatus): string {
  const { name, state, file } = service;
  if (state === "absent") return `${name} is not installed: there is no ${printable(file)}.`;
  const rows = [
    ["  installed", installedText(service)],
    ["  running", runningText(service)],
    ...(service.program === null ? [] : [["  program", programText(service)]]),
    ...(service.data === null ? [] : [["  data", service.data]]),
    ["  log", service.log],
  ];
  return `${printable(name)}\n${rows.map(([head, text]) => printableLines(`${head?.padEnd(13)}${text}`, COLUMN)).join("\n")}`;
}

const COLUMN = " ".repeat(13);

function installedText({ file, state, enabled, scope }: ServiceStatus): string {
  const whose = { absent: "", foreign: "; not by `service install`", edited: "; changed by hand since", whole: "" }[
    state
  ];
  const start = scope === "system" ? "with the system" : "with your first session";
  return `${file}${whose}; ${enabled ? `starts ${start}` : `does not start ${start}`}`;
}

function runningText({ running, active, pid, version }: ServiceStatus): string {
  if (!running) return active === null || active === "inactive" ? "no" : `no (${active})`;
  const which = version === null ? "it does not say its version to this user" : `version ${version}`;
  return `yes, ${which}${pid === null ? "" : `, process ${pid}`}`;
}

function programText({ program, programVersion, running, version }: ServiceStatus): string {
  const isOther = running && version !== null && programVersion !== null && version !== programVersion;
  const name = program?.join(" ") ?? "";
  if (programVersion === null) return `${name}, which does not run: install the service again`;
  return `${name}, version ${programVersion}${isOther ? ": start the service again to run it" : ""}`;
}
