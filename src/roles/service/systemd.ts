import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { readMarked, type ServiceText } from "../../core/service/mark.ts";
import { type ServiceSpec, serviceName, startsAsRoot } from "../../core/service/model.ts";
import type { CommandOutput } from "../../os/command.ts";
import { errorCode } from "../../os/errors.ts";
import { fileError, PRIVATE_DIRECTORY_MODE, replacePublicFile } from "../../os/files.ts";
import { dataFiles, dataPaths } from "../../os/paths.ts";
import { giveDirectory, giveFiles, giveToGroup } from "../../os/privileges.ts";
import { findUser } from "../../os/users.ts";
import { ControlError } from "../../servers/local/control.ts";
import { checkService } from "./checks.ts";
import type { InstallReport, ServiceRequest, Services, UninstallReport } from "./control.ts";
import type { ServiceHost } from "./host.ts";
import { commentStyle, planService, renderSpec, SERVICE_USER, serviceFile } from "./plan.ts";
import { runningOutside } from "./running.ts";

type Which = Pick<ServiceRequest, "role" | "manager" | "scope">;

/** systemd waits for READY=1 as long as this by itself (DefaultTimeoutStartSec), and TimeoutStopSec= is less. */
const START_TIMEOUT_MS = 100_000;
const LOG_LINES = 5;
const ROOT_UID = 0;

/** What systemd says of a unit. */
export interface UnitFacts {
  readonly active: string;
  readonly enabled: boolean;
  readonly pid: number | null;
}

export async function installUnit(
  host: ServiceHost,
  request: ServiceRequest,
  { now, force }: Parameters<Services["install"]>[1],
): Promise<InstallReport> {
  const spec = await planService(host, request);
  const { file, text } = renderSpec(host, request, spec);
  wantSystemd(host, request, file);
  await checkService(host, spec);
  const before = readServiceFile(host, request);
  if (!force) refuseForeign(before, file);
  const name = serviceName(spec.role);
  const facts = await unitFacts(host, request);
  if (now) await refuseRunningOutside(host, spec, facts);

  const done: string[] = [];
  if (spec.user !== null) await makeUser(host, spec, spec.user, done);
  makeDataDirectory(host, spec, done);
  const isNew = before === null || readFileSync(host.root + file, "utf8") !== text;
  if (isNew) {
    makeFolder(dirname(host.root + file));
    const written = await replacePublicFile(host.root + file, text);
    if (!written.ok) throw new ControlError("failed", written.error.message, { cause: written.error.cause });
    done.push(`Wrote ${file}.`);
    await systemctl(host, request, ["daemon-reload"]);
  }
  if (!facts.enabled) {
    await systemctl(host, request, ["enable", name]);
    done.push(`${name} starts with ${spec.scope === "system" ? "the system" : "your first session"}.`);
  }
  const wasRunning = facts.active === "active" || facts.active === "reloading";
  if (now && (!wasRunning || isNew)) {
    await start(host, request, wasRunning ? "restart" : "start");
    done.push(`${name} ${wasRunning ? "was started again, with its new unit" : "runs"}.`);
  }
  const running = wasRunning || now;
  return {
    role: spec.role,
    manager: request.manager,
    name,
    file,
    data: spec.dataDir,
    config: spec.configFile,
    user: spec.user,
    changed: done.length > 0,
    done,
    running,
    next: nextSteps(request, spec, { running, needsRestart: wasRunning && isNew && !now }),
  };
}

export async function uninstallUnit(host: ServiceHost, which: Which, force: boolean): Promise<UninstallReport> {
  const file = serviceFile(host, which);
  const name = serviceName(which.role);
  const found = readServiceFile(host, which);
  if (found === null) return { role: which.role, file, removed: false, data: null, next: [] };
  wantSystemd(host, which, file);
  if (!force) refuseForeign(found, file);
  await systemctl(host, which, ["disable", "--now", name], START_TIMEOUT_MS);
  rmSync(host.root + file, { force: true });
  await systemctl(host, which, ["daemon-reload"]);
  // A unit that failed is remembered, and this fails when there is nothing to forget.
  await ask(host, which, ["reset-failed", name]);
  const dropIns = `${file}.d`;
  const data = found.kind === "foreign" ? null : found.mark.data;
  const next = existsSync(host.root + dropIns) ? [`Your changes in ${dropIns} are still there.`] : [];
  if (which.role === "gateway") {
    const command = `hatchway gateway stop --clean${data === null ? "" : ` --data ${data}`}`;
    next.push(`The kernel goes on forwarding what was open, until you run: ${command}`);
  }
  return { role: which.role, file, removed: true, data, next };
}

/** The file that is there, and whose it is; null = none. */
export function readServiceFile(host: ServiceHost, which: Which): ServiceText | null {
  const path = host.root + serviceFile(host, which);
  try {
    return readMarked(readFileSync(path, "utf8"), commentStyle(which.manager));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw new ControlError("failed", fileError(error, "read", path).message, { cause: error });
  }
}

export function refuseForeign(found: ServiceText | null, file: string): void {
  if (found === null || found.kind === "whole") return;
  const whose = found.kind === "edited" ? "was changed by hand since it was installed" : "is not of `service install`";
  throw new ControlError("usage", `${file} ${whose}: move it away, or take --force to go over it.`);
}

export async function unitFacts(host: ServiceHost, which: Which): Promise<UnitFacts> {
  const properties = ["ActiveState", "UnitFileState", "MainPID"];
  const shown = await ask(host, which, ["show", serviceName(which.role), `--property=${properties.join(",")}`]);
  const values = new Map(shown.stdout.split("\n").map((line) => [line.split("=", 1)[0], line.replace(/^[^=]*=/, "")]));
  const pid = Number(values.get("MainPID") ?? 0);
  return {
    active: values.get("ActiveState") ?? "unknown",
    enabled: values.get("UnitFileState") === "enabled",
    pid: pid > 0 ? pid : null,
  };
}

/** Before anything is done: who may, and where there is systemd at all (sd_booted(3)). */
function wantSystemd(host: ServiceHost, { scope }: Which, file: string): void {
  if (!existsSync(`${host.root}/run/systemd/system`)) {
    throw new ControlError("usage", "This machine does not run systemd: look at the unit with --print.");
  }
  if (scope === "user" || host.isRoot) return;
  throw new ControlError(
    "usage",
    `Run this as root, by sudo: it is about ${file}. \`--print\` shows the file without.`,
  );
}

async function refuseRunningOutside(host: ServiceHost, spec: ServiceSpec, facts: UnitFacts): Promise<void> {
  const pid = await runningOutside(spec.role, host.root + spec.dataDir, facts.pid);
  if (pid === null) return;
  const message = `The ${spec.role} of ${spec.dataDir} runs already, and not as a service (process ${pid}): stop it first.`;
  throw new ControlError("usage", message);
}

async function makeUser(host: ServiceHost, spec: ServiceSpec, name: string, done: string[]): Promise<void> {
  if (findUser([name], `${host.root}/etc/passwd`) !== null) return;
  if (name !== SERVICE_USER) {
    const named = startsAsRoot(spec) ? "user in [gateway]" : "--user";
    throw new ControlError(
      "usage",
      `There is no user ${name}: make it first, or leave ${named} out for one of its own.`,
    );
  }
  const home = ["--system", "--user-group", "--home-dir", spec.dataDir, "--no-create-home"];
  const made = await host.run(["useradd", ...home, "--shell", "/usr/sbin/nologin", name]);
  if (!made.ok) throw new ControlError("failed", made.error.message, { cause: made.error.cause });
  if (made.value.exitCode !== 0) {
    throw new ControlError("failed", `User ${name} could not be made: ${made.value.stderr.trim()}`);
  }
  done.push(`Made user ${name}, who may do nothing else.`);
}

/** Private, and the user's own: of what is somebody else's already nothing is touched. */
function makeDataDirectory(host: ServiceHost, spec: ServiceSpec, done: string[]): void {
  const path = host.root + spec.dataDir;
  if (!existsSync(path)) {
    makeFolder(path);
    done.push(`Made ${spec.dataDir}.`);
  }
  if (spec.user === null) return;
  const user = findUser([spec.user], `${host.root}/etc/passwd`);
  const { uid } = statSync(path);
  if (user === null) return;
  if (uid === user.uid) {
    const group = giveToGroup(path, user);
    if (!group.ok) throw new ControlError("failed", group.error);
    const files = giveFiles(dataFiles(path), user);
    if (!files.ok) throw new ControlError("failed", files.error);
    if (files.value > 0) done.push(`Gave what root had made in ${spec.dataDir} to user ${spec.user}.`);
    return;
  }
  if (uid !== ROOT_UID) {
    const how = startsAsRoot(spec) ? "with user in [gateway]" : "with --user";
    const message = `${spec.dataDir} belongs to another user (number ${uid}): name that one ${how}, or another directory with --data.`;
    throw new ControlError("usage", message);
  }
  const given = giveDirectory(path, user, [dataPaths(path).sites]);
  if (!given.ok) throw new ControlError("failed", given.error);
  done.push(`Gave ${spec.dataDir} to user ${spec.user}.`);
}

function makeFolder(path: string): void {
  try {
    const isData = !path.endsWith("systemd/user") && !path.endsWith("systemd/system");
    mkdirSync(path, { recursive: true, ...(isData ? { mode: PRIVATE_DIRECTORY_MODE } : {}) });
  } catch (cause) {
    throw new ControlError("failed", fileError(cause, "create", path).message, { cause });
  }
}

/** Type=notify: systemd says only then that it is started when the program does. */
async function start(host: ServiceHost, request: ServiceRequest, how: "start" | "restart"): Promise<void> {
  const name = serviceName(request.role);
  const started = await ask(host, request, [how, name], START_TIMEOUT_MS);
  if (started.exitCode === 0) return;
  const journal = [...journalctl(request, name), "-o", "cat", "-n", `${LOG_LINES}`, "--no-pager"];
  const log = await host.run(asUser(host, request, journal));
  const lines = log.ok
    ? log.value.stdout
        .trim()
        .split("\n")
        .filter((line) => line !== "")
    : [];
  const said = lines.length === 0 ? "" : `\n${lines.map((line) => `  ${line}`).join("\n")}`;
  const show = journalctl(request, name).join(" ");
  throw new ControlError("failed", `${name} is installed and did not start; \`${show}\` has all of its log.${said}`);
}

function nextSteps(
  request: ServiceRequest,
  spec: ServiceSpec,
  { running, needsRestart }: { readonly running: boolean; readonly needsRestart: boolean },
): string[] {
  const name = serviceName(spec.role);
  const systemctlWords = spec.scope === "user" ? "systemctl --user" : "systemctl";
  const steps: string[] = [];
  if (needsRestart) steps.push(`Start it again to use the new unit: ${systemctlWords} restart ${name}`);
  else if (!running) steps.push(`Start it: ${systemctlWords} start ${name}`);
  if (running && spec.role === "relay") {
    steps.push(`Let an agent join with the code of: hatchway join-code create --name NAME --data ${spec.dataDir}`);
  }
  steps.push(`Its log: ${journalctl(request, name).join(" ")}`);
  if (spec.scope === "user") steps.push("It ends with your last session, unless you run: loginctl enable-linger");
  return steps;
}

export function journalctl({ scope }: Pick<ServiceRequest, "scope">, name: string): string[] {
  return scope === "user" ? ["journalctl", "--user", "-u", name] : ["journalctl", "-u", name];
}

/** What a user's systemd is found by; a command of ours gets nothing of this process's environment. */
function asUser(host: ServiceHost, { scope }: Pick<Which, "scope">, argv: readonly string[]): string[] {
  if (scope === "system") return [...argv];
  return ["env", `XDG_RUNTIME_DIR=${host.environment["XDG_RUNTIME_DIR"] || `/run/user/${host.uid}`}`, ...argv];
}

async function ask(
  host: ServiceHost,
  which: Which,
  args: readonly string[],
  timeoutMs?: number,
): Promise<CommandOutput> {
  const program = which.scope === "user" ? ["systemctl", "--user"] : ["systemctl"];
  const ran = await host.run(asUser(host, which, [...program, ...args]), { timeoutMs });
  if (!ran.ok) throw new ControlError("failed", ran.error.message, { cause: ran.error.cause });
  return ran.value;
}

async function systemctl(host: ServiceHost, which: Which, args: readonly string[], timeoutMs?: number): Promise<void> {
  const { exitCode, stderr } = await ask(host, which, args, timeoutMs);
  if (exitCode !== 0) throw new ControlError("failed", `systemctl ${args.join(" ")} failed: ${stderr.trim()}`);
}
