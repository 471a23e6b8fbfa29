import { serviceName } from "../../core/service/model.ts";
import { VERSION } from "../../os/version.ts";
import { parseJson } from "../../wire/json.ts";
import type { OpenServices, ServiceRequest, ServiceStatus, Services } from "./control.ts";
import { type ServiceHost, thisHost } from "./host.ts";
import { installFile, otherLog, uninstallFile } from "./other.ts";
import { renderService, serviceFile } from "./plan.ts";
import { runningProgram } from "./running.ts";
import { installUnit, journalctl, readServiceFile, uninstallUnit, unitFacts } from "./systemd.ts";

/** `hatchway service` on this machine. */
export const openServices: OpenServices = () => servicesOn(thisHost());

export function servicesOn(host: ServiceHost): Services {
  return {
    render: (request) => renderService(host, request),
    install: (request, how) =>
      request.manager === "systemd" ? installUnit(host, request, how) : installFile(host, request, how),
    uninstall: (which, { force }) =>
      which.manager === "systemd" ? uninstallUnit(host, which, force) : uninstallFile(host, which, force),
    status: (which) => statusOf(host, which),
  };
}

async function statusOf(
  host: ServiceHost,
  which: Pick<ServiceRequest, "role" | "manager" | "scope">,
): Promise<ServiceStatus> {
  const { role, scope, manager } = which;
  const found = readServiceFile(host, which);
  const mark = found === null || found.kind === "foreign" ? null : found.mark;
  // Nobody needs to be asked about what is not there.
  const facts = found === null || manager !== "systemd" ? null : await unitFacts(host, which);
  const process = mark === null ? null : await runningProgram(role, host.root + mark.data);
  const own = facts !== null && process?.pid !== facts.pid ? null : process;
  return {
    role,
    scope,
    name: serviceName(role),
    file: serviceFile(host, which),
    state: found?.kind ?? "absent",
    enabled: facts?.enabled ?? found !== null,
    running: facts === null ? own !== null : facts.active === "active" || facts.active === "reloading",
    active: facts?.active ?? null,
    pid: facts?.pid ?? own?.pid ?? null,
    version: own?.version ?? null,
    program: mark?.program ?? null,
    programVersion: mark === null ? null : await versionOf(host, mark.program),
    data: mark?.data ?? null,
    user: mark?.user ?? null,
    log: manager === "systemd" ? journalctl(which, serviceName(role)).join(" ") : otherLog(which, mark),
  };
}

/** Of the program on the disk, which an upgrade may have changed since the service started; null = it does not run. */
async function versionOf(host: ServiceHost, program: readonly string[]): Promise<string | null> {
  if (program.join("\n") === host.program.join("\n")) return VERSION;
  const said = await host.run([...program, "version", "--json"]);
  const answer = said.ok ? parseJson(said.value.stdout) : undefined;
  const version = (answer as { readonly version?: unknown } | null | undefined)?.version;
  return typeof version === "string" ? version : null;
}
