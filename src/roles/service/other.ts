import { existsSync, readFileSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { launchdLabel, launchdLog } from "../../core/service/launchd.ts";
import type { ServiceMark } from "../../core/service/mark.ts";
import { serviceName } from "../../core/service/model.ts";
import { taskLog, taskName } from "../../core/service/windows.ts";
import { fileError, PRIVATE_DIRECTORY_MODE, replacePublicFile } from "../../os/files.ts";
import { ControlError } from "../../servers/local/control.ts";
import { checkService } from "./checks.ts";
import type { InstallReport, ServiceRequest, Services, UninstallReport } from "./control.ts";
import type { ServiceHost } from "./host.ts";
import { planService, renderSpec, serviceFile } from "./plan.ts";
import { readServiceFile, refuseForeign } from "./systemd.ts";

type Which = Pick<ServiceRequest, "role" | "manager" | "scope">;

/**
 * macOS and Windows: the file is put where it belongs, and the command that takes it up is said, not run. There is
 * nothing here to test that command with, and a service that is started wrongly is worse than one line to type.
 */
export async function installFile(
  host: ServiceHost,
  request: ServiceRequest,
  { force }: Parameters<Services["install"]>[1],
): Promise<InstallReport> {
  const spec = await planService(host, request);
  const { file, text } = renderSpec(host, request, spec);
  wantRoot(host, request, file);
  await checkService(host, spec);
  const before = readServiceFile(host, request);
  if (!force) refuseForeign(before, file);
  const path = host.root + file;
  const isNew = before === null || readFileSync(path, "utf8") !== text;
  if (isNew) {
    await makeFolders(host.root + spec.dataDir, dirname(path));
    const written = await replacePublicFile(path, text);
    if (!written.ok) throw new ControlError("failed", written.error.message, { cause: written.error.cause });
  }
  return {
    role: spec.role,
    manager: request.manager,
    name: serviceName(spec.role),
    file,
    data: spec.dataDir,
    config: spec.configFile,
    user: spec.user,
    changed: isNew,
    done: isNew ? [`Wrote ${file}.`] : [],
    running: false,
    next: [
      ...loadSteps(host, request, file),
      `Its log: ${request.manager === "launchd" ? launchdLog(spec) : taskLog(spec)}`,
    ],
  };
}

export async function uninstallFile(host: ServiceHost, which: Which, force: boolean): Promise<UninstallReport> {
  const file = serviceFile(host, which);
  const found = readServiceFile(host, which);
  if (found === null) return { role: which.role, file, removed: false, data: null, next: [] };
  wantRoot(host, which, file);
  if (!force) refuseForeign(found, file);
  rmSync(host.root + file, { force: true });
  const data = found.kind === "foreign" ? null : found.mark.data;
  return { role: which.role, file, removed: true, data, next: unloadSteps(host, which) };
}

/** Of a service whose manager keeps no log. */
export function otherLog({ manager, role }: Which, mark: ServiceMark | null): string {
  const dataDir = mark?.data ?? ".";
  return manager === "launchd" ? launchdLog({ role, dataDir }) : taskLog({ role, dataDir });
}

function wantRoot(host: ServiceHost, { manager, scope }: Which, file: string): void {
  if (manager === "windows" || scope === "user" || host.isRoot) return;
  throw new ControlError(
    "usage",
    `Run this as root, by sudo: it is about ${file}. \`--print\` shows the file without.`,
  );
}

function loadSteps(host: ServiceHost, { manager, scope, role }: Which, file: string): string[] {
  if (manager === "windows") {
    const task = `schtasks /Create /TN ${taskName(role)} /XML "${file}" /F`;
    return [`Take it up, as an administrator: ${task}`, `Start it: schtasks /Run /TN ${taskName(role)}`];
  }
  const load = `launchctl bootstrap ${domainOf(host, scope)} ${file}`;
  return [
    `Start it, now and with the ${scope === "system" ? "system" : "session"}: ${scope === "system" ? "sudo " : ""}${load}`,
  ];
}

function unloadSteps(host: ServiceHost, { manager, scope, role }: Which): string[] {
  if (manager === "windows") return [`Stop it and forget it: schtasks /Delete /TN ${taskName(role)} /F`];
  const unload = `launchctl bootout ${domainOf(host, scope)}/${launchdLabel(role)}`;
  return [`Stop it: ${scope === "system" ? "sudo " : ""}${unload}`];
}

/** launchctl(1). */
function domainOf(host: ServiceHost, scope: ServiceRequest["scope"]): string {
  return scope === "system" ? "system" : `gui/${host.uid}`;
}

async function makeFolders(data: string, beside: string): Promise<void> {
  try {
    if (!existsSync(data)) await mkdir(data, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
    await mkdir(beside, { recursive: true });
  } catch (cause) {
    throw new ControlError("failed", fileError(cause, "create", data).message, { cause });
  }
}
