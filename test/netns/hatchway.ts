import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, parseJson } from "./child.ts";
import type { ExecResult, Host, Machines } from "./lab.ts";

/** The product as a person runs it: bin/hatchway with --json, in the lab's namespaces. */
export const HATCHWAY = join(import.meta.dir, "../../bin/hatchway");
const START_DEADLINE_MS = 20_000;
export const AGENT_PORT = 7744;
export const PUBLIC_PORTS = "1024-65535";

/** A machine's data directory and config file. */
export interface Home {
  readonly host: Host;
  readonly data: string;
  readonly config: string;
}

export interface EndpointInfo {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly lastPort: number;
  readonly internalPort: number | null;
}

export interface CounterInfo {
  readonly visitorsTotal: number;
  readonly visitorsOpen: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly refused: Record<string, number>;
}

export interface StatusInfo {
  readonly role: "relay" | "agent";
  readonly pid: number;
  readonly link?: "up" | "connecting" | "down";
  readonly devicesConnected?: number;
  readonly counters: CounterInfo;
}

export interface ForwardLine {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly state: string;
  readonly endpoints: readonly EndpointInfo[];
  readonly counters: CounterInfo;
}

/** A foreground command whose forwards are open. */
export interface Opened {
  readonly child: Child;
  readonly endpoints: readonly EndpointInfo[];
  [Symbol.asyncDispose](): Promise<void>;
}

export function newHome(lab: Machines, host: Host, toml = ""): Home {
  const directory = mkdtempSync(join(lab.directory, "home-"));
  const home = { host, data: join(directory, "data"), config: join(directory, "hatchway.toml") };
  writeConfig(home, toml);
  return home;
}

export function writeConfig(home: Home, toml: string): void {
  writeFileSync(home.config, toml);
}

/** `hatchway COMMAND…` on a home: its argv. */
export function command(home: Home, ...args: readonly string[]): string[] {
  return [HATCHWAY, ...args, "--data", home.data, "--config", home.config];
}

export function run(lab: Machines, home: Home, ...args: readonly string[]): Promise<ExecResult> {
  return lab.exec(home.host, command(home, ...args));
}

/** Runs a command that must succeed, and parses what it prints. */
export async function query<T>(lab: Machines, home: Home, ...args: readonly string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await run(lab, home, ...args, "--json");
  const value = parseJson(stdout);
  if (exitCode !== 0 || value === null)
    throw new Error(`hatchway ${args.join(" ")}: exit code ${exitCode}\n${stdout}\n${stderr}`);
  return value as T;
}

/** Of the relay or the agent that runs on this home. */
export async function status(lab: Machines, home: Home): Promise<StatusInfo> {
  const { relay, agent } = await query<{ relay: StatusInfo | null; agent: StatusInfo | null }>(lab, home, "status");
  const found = relay ?? agent;
  if (found === null) throw new Error("status answers, and names neither relay nor agent");
  return found;
}

export async function forwards(lab: Machines, home: Home): Promise<readonly ForwardLine[]> {
  return (await query<{ forwards: readonly ForwardLine[] }>(lab, home, "forward", "ls")).forwards;
}

/** Starts the relay and waits until every listener is open. */
export async function startRelay(lab: Machines & { readonly relay: Host }, home: Home): Promise<Child> {
  const flags = ["--listen", `0.0.0.0:${AGENT_PORT}`, "--public", lab.relay.v4, "--ports", PUBLIC_PORTS, "--json"];
  const child = lab.spawn(home.host, command(home, "serve", ...flags));
  await child.event("ready", { deadlineMs: START_DEADLINE_MS });
  return child;
}

export async function joinCode(lab: Machines, relay: Home, name: string, ...more: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(lab, relay, "join-code", "create", "--name", name, ...more);
  if (exitCode !== 0) throw new Error(`join-code create: exit code ${exitCode}: ${stderr}`);
  return stdout.trim();
}

/** Starts an agent, the first time with a code, and waits until its carriers are up. */
export async function startAgent(lab: Machines, home: Home, code?: string): Promise<Child> {
  const child = launchAgent(lab, home, code);
  await child.event("connected", { deadlineMs: START_DEADLINE_MS });
  return child;
}

export function launchAgent(lab: Machines, home: Home, code?: string): Child {
  return lab.spawn(home.host, command(home, "agent", ...(code === undefined ? [] : ["--join", code]), "--json"));
}

/** A relay and an enrolled agent, running. Restarting one replaces it here. */
export interface Site {
  readonly relayHome: Home;
  readonly agentHome: Home;
  relay: Child;
  agent: Child;
}

export async function startSite(
  lab: Machines & { readonly relay: Host; readonly agent: Host },
  toml: { readonly relay?: string; readonly agent?: string } = {},
): Promise<Site> {
  const relayHome = newHome(lab, lab.relay, toml.relay);
  const agentHome = newHome(lab, lab.agent, toml.agent);
  const relay = await startRelay(lab, relayHome);
  const agent = await startAgent(lab, agentHome, await joinCode(lab, relayHome, "attic"));
  return { relayHome, agentHome, relay, agent };
}

/** Enrols and starts a second device. */
export async function startOther(
  lab: Machines & { readonly other: Host },
  site: Site,
  toml = "",
): Promise<{ home: Home; child: Child }> {
  const home = newHome(lab, lab.other, toml);
  return { home, child: await startAgent(lab, home, await joinCode(lab, site.relayHome, "cellar")) };
}

/** Runs `expose`, `connect` or `direct` until its forwards are open. Rejects with what it said when it is refused. */
export async function open(lab: Machines, home: Home, ...args: readonly string[]): Promise<Opened> {
  const child = lab.spawn(home.host, command(home, ...args, "--json"));
  const count = Math.max(1, args.filter((arg) => /^-[LRD]$/.test(arg)).length);
  let fromLine = 0;
  const endpoints: EndpointInfo[] = [];
  for (let opened = 0; opened < count; opened++) {
    const event = await child.event<{ endpoints: EndpointInfo[] }>("exposed", { fromLine });
    endpoints.push(...event.endpoints);
    fromLine = opened + 1;
  }
  return { child, endpoints, [Symbol.asyncDispose]: () => close(child) };
}

/** Ctrl-C, as a person ends it: the ports are closed when it has ended. */
async function close(child: Child): Promise<void> {
  child.signal("SIGINT");
  await child.exited;
}
