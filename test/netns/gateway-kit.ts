import { chmodSync } from "node:fs";
import { dirname } from "node:path";
import type { Child } from "./child.ts";
import { command, forwards, type Home, newHome, query } from "./hatchway.ts";
import type { ExecResult, Lab } from "./lab.ts";

/** The product's gateway on the lab's NAT box: WAN is `wan`, the clients are `agent` on `lan1` and `other` on `lan2`. */
const READY_DEADLINE_MS = 20_000;

export interface GatewaySite {
  readonly home: Home;
  child: Child;
}

export async function startGateway(lab: Lab, toml = "", ...flags: readonly string[]): Promise<GatewaySite> {
  const home = newHome(lab, lab.nat, toml);
  // The gateway gives up root: what it reads later must be in an ordinary user's reach.
  chmodSync(lab.directory, 0o711);
  chmodSync(dirname(home.config), 0o755);
  return { home, child: await launchGateway(lab, home, ...flags) };
}

export async function launchGateway(lab: Lab, home: Home, ...flags: readonly string[]): Promise<Child> {
  const interfaces = ["--wan", "wan", "--lan", "lan1", "--lan", "lan2"];
  const child = lab.spawn(home.host, command(home, "gateway", ...interfaces, ...flags, "--json"));
  await child.event("ready", { deadlineMs: READY_DEADLINE_MS });
  return child;
}

export interface MappingLine {
  readonly id: string;
  readonly name: string;
  readonly origin: string;
  readonly device: string;
  readonly state: string;
  readonly leaseEndsMs: number | null;
  readonly endpoints: readonly {
    readonly protocol: string;
    readonly host: string;
    readonly port: number;
    readonly internalHost: string;
    readonly internalPort: number;
  }[];
  readonly counters: { readonly visitorsTotal: number; readonly bytesIn: number; readonly bytesOut: number };
}

export async function mappings(lab: Lab, site: GatewaySite): Promise<readonly MappingLine[]> {
  return (await forwards(lab, site.home)) as unknown as readonly MappingLine[];
}

/** `tcp 8080 -> 192.168.77.2:80 (pcp)`: what is open, in the order of the ports. */
export async function openPorts(lab: Lab, site: GatewaySite): Promise<string[]> {
  const lines = (await mappings(lab, site)).flatMap(({ endpoints, origin }) =>
    endpoints.map(
      ({ protocol, port, internalHost, internalPort }) =>
        [port, `${protocol} ${port} -> ${internalHost}:${internalPort} (${origin})`] as const,
    ),
  );
  return lines.toSorted(([a], [b]) => a - b).map(([, text]) => text);
}

export interface TriggerLine {
  readonly name: string;
  readonly state: "armed" | "open";
  readonly host: string | null;
}

export async function triggers(lab: Lab, site: GatewaySite): Promise<readonly TriggerLine[]> {
  return (await query<{ triggers: readonly TriggerLine[] }>(lab, site.home, "trigger", "ls")).triggers;
}

/** The kernel's rules in the gateway's namespace. */
export function nft(lab: Lab, ...args: readonly string[]): Promise<ExecResult> {
  return lab.exec(lab.nat, ["nft", ...args]);
}
