import { cpus, hostname, release, totalmem, userInfo } from "node:os";
import type { Finding } from "../../core/doctor/model.ts";
import type { Kind } from "../../core/doctor/redact/placeholders.ts";
import type { Known } from "../../core/doctor/redact/text.ts";
import { type RawReport, redactReport, reportText } from "../../core/doctor/report.ts";
import { nowMs } from "../../os/clock.ts";
import { runCommand } from "../../os/command.ts";
import { errorCode } from "../../os/errors.ts";
import { readText } from "../../os/files.ts";
import { firstBytes, isReadable, listDirectory, lookAtPath } from "../../os/look.ts";
import { VERSION } from "../../os/version.ts";
import { gatewayClient, relayClient } from "../../servers/local/client.ts";
import { parseAddress } from "../../wire/address.ts";
import { nameOf } from "../agent/info.ts";
import type { DeviceInfo, ForwardSpec } from "../control.ts";
import { secretFiles } from "./data.ts";
import type { World } from "./world.ts";

const LOG_LINES = 200;
const EVENTS = 50;
const LOG_MS = 5_000;
const MAX_SECRET_BYTES = 65_536;
const MEGABYTE = 1_048_576;

/** Gathers what whoever helps would ask for, and takes out what is nobody else's business. */
export async function makeReport(world: World, findings: readonly Finding[], format: "text" | "json"): Promise<string> {
  const [relay, agent, gateway] = await Promise.all([world.relay(), world.agent(), world.gateway()]);
  const devices = relay.kind === "runs" ? await relayClient(world.paths.relaySocket).listDevices() : [];
  const forwards = (
    await Promise.all([world.forwardsOf("relay"), world.forwardsOf("agent"), world.forwardsOf("gateway")])
  ).flat();
  const wasAsked = findings.some(({ section, state }) => section === "router" && state !== "skipped");
  const raw: RawReport = {
    madeMs: nowMs(),
    program: { version: VERSION, bun: Bun.version, platform: process.platform, arch: process.arch },
    system: await systemFacts(),
    findings,
    files: await listDirectory(world.paths.directory),
    relay: relay.kind === "runs" ? relay.status : null,
    agent: agent.kind === "runs" ? agent.status : null,
    gateway: gateway.kind === "runs" ? gateway.status : null,
    forwards,
    devices,
    config: await rawConfig(world.configPath),
    // Why it could not be asked is among the findings.
    router: wasAsked ? await world.router().catch(() => null) : null,
    events: gateway.kind === "runs" ? await lastEvents(world) : [],
    log: await logLines(world),
  };
  const report = redactReport(raw, await known(world, devices, forwards));
  return format === "json" ? `${JSON.stringify(report, null, 2)}\n` : reportText(report);
}

async function systemFacts(): Promise<RawReport["system"]> {
  const named = await readText("/etc/os-release");
  const [, name = ""] = /^PRETTY_NAME="?([^"\n]*)/m.exec((named.ok ? named.value : null) ?? "") ?? [];
  const container = (await lookAtPath("/.dockerenv")).kind === "file" ? "docker" : "";
  return {
    name,
    kernel: release(),
    processors: cpus().length,
    memoryMB: Math.round(totalmem() / MEGABYTE),
    user: process.geteuid?.() === 0 ? "root" : "ordinary",
    ...(container === "" ? {} : { container }),
  };
}

/** Not as the program takes it, but as a person wrote it: a file with a mistake is the one that counts. */
async function rawConfig(path: string): Promise<RawReport["config"]> {
  const text = await readText(path);
  if (!text.ok) return "It cannot be read.";
  if (text.value === null) return null;
  try {
    return Bun.TOML.parse(text.value) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return "It is not TOML, so nothing of it is shown.";
  }
}

async function lastEvents(world: World): Promise<unknown[]> {
  const events: unknown[] = [];
  const asked = gatewayClient(world.paths.gatewaySocket).events({ since: 0, follow: false }, world.signal);
  for await (const event of asked) {
    events.push(event);
    if (events.length > EVENTS) events.shift();
  }
  return events;
}

/** From the journal, where systemd runs the roles; none elsewhere: they log to standard error. */
async function logLines(world: World): Promise<string[]> {
  const running = await Promise.all([world.relay(), world.agent(), world.gateway()]);
  const pids = running.flatMap((role) => (role.kind === "runs" ? [`_PID=${role.status.pid}`] : []));
  const match =
    pids.length === 0 ? ["--unit", "hatchway*"] : pids.flatMap((pid, at) => (at === 0 ? [pid] : ["+", pid]));
  const argv = ["journalctl", "--no-pager", "--quiet", "--output", "cat", "--lines", `${LOG_LINES}`, ...match];
  const ran = await runCommand(argv, { timeoutMs: LOG_MS, signal: world.signal });
  return ran.ok && ran.value.exitCode === 0 ? ran.value.stdout.split("\n").filter((line) => line !== "") : [];
}

/** What is to be found wherever it stands: the secrets of this machine, and the names that people gave. */
async function known(
  world: World,
  devices: readonly DeviceInfo[],
  forwards: readonly { readonly name: string; readonly group: string | null }[],
): Promise<Known> {
  const { config } = await world.config();
  const { membership, enrolment, forwards: added } = await world.state();
  const agent = await world.agent();
  const files = [world.paths.deviceKey, world.paths.relayKey, ...(config === null ? [] : secretFiles(config))];
  const fromFiles = await Promise.all(files.map(secretsIn));
  const specs = [...(config?.forwards ?? []), ...added];
  const credentials = specs.flatMap((spec) =>
    spec.kind === "local" && spec.local.credentials !== null ? [spec.local.credentials] : [],
  );
  const names: [Kind, string | null | undefined][] = [
    ["device", membership.kind === "joined" ? membership.deviceName : null],
    ["device", agent.kind === "runs" ? agent.status.name : null],
    ["device", config?.file.agent?.name],
    ...devices.map(({ name }): [Kind, string] => ["device", name]),
    ...forwards.map(({ name }): [Kind, string] => ["forward", name]),
    ...forwards.map(({ group }): [Kind, string | null] => ["name", group]),
    ...specs.map((spec): [Kind, string] => ["forward", nameOf(spec)]),
    ["host", hostname()],
    ["host", enrolment?.relay.host],
    ["host", config?.file.agent?.relay?.host],
    ["host", config?.file.relay?.public],
    ...specs.map((spec): [Kind, string | null] => ["host", hostOf(spec)]),
    ["name", loginName()],
    ...credentials.map(({ username }): [Kind, string] => ["name", username]),
  ];
  return {
    secrets: [...fromFiles.flat(), ...credentials.map(({ password }) => password)],
    // Addresses are found as what they are.
    names: names.flatMap(([kind, text]) =>
      text == null || text === "localhost" || parseAddress(text).ok ? [] : [{ kind, text }],
    ),
  };
}

function hostOf(spec: ForwardSpec): string | null {
  switch (spec.kind) {
    case "remote":
      return spec.to;
    case "local":
      return spec.local.to;
    case "upstream":
      return spec.upstream.to;
    default:
      return spec satisfies never;
  }
}

/** The lines of a file of keys or passwords. */
async function secretsIn(path: string): Promise<string[]> {
  if ((await lookAtPath(path)).kind !== "file" || !(await isReadable(path))) return [];
  const lines = Buffer.from(await firstBytes(path, MAX_SECRET_BYTES))
    .toString("utf8")
    .split("\n");
  return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("-----"));
}

/** Null: this user has none, as in a container. */
function loginName(): string | null {
  try {
    const { username } = userInfo();
    return username === "root" ? null : username;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return null;
  }
}
