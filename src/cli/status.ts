import type { Command } from "commander";
import type { AgentStatus, Counters, ForwardInfo, GatewayStatus, RelayStatus, VisitInfo } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { dropWords } from "../wire/drop-words.ts";
import type { AskedRelay } from "./asked-relay.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { relayOf } from "./relay-of.ts";
import {
  formatAge,
  formatBytes,
  formatMs,
  formatRefused,
  formatTable,
  forwardsTable,
  ignoredText,
  NO_FORWARDS,
  printable,
  printableLines,
} from "./text.ts";

export function defineStatus(program: Command, run: Run): void {
  program
    .command("status")
    .summary("show what runs with --data: relay, agent, gateway, forwards, refused visitors")
    .description(
      "Shows the relay, the agent and the gateway that run with --data, their forwards, and why visitors were refused. By --remote: the relay that it names.",
    )
    .option("--visits", "list the live connections and flows as well")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"relay":{…}|null,"agent":{…}|null,"gateway":{…}|null,"forwards":[…],"visits":[…]} (visits with
--visits; a gateway's have null for a start or bytes that its kernel does not tell). Exit code 4 when none of them runs.

Examples:
  hatchway status
  hatchway status --visits --data /srv/hatchway
  hatchway status --remote https://relay.example:7780 --token-file token.txt`,
    )
    .action(async (given: { readonly visits?: true }, command: Command) =>
      run(command, (context) => status(context, given.visits === true)),
    );
}

interface Found {
  readonly status: RelayStatus | AgentStatus | GatewayStatus;
  readonly forwards: readonly ForwardInfo[];
  readonly visits: readonly VisitInfo[];
}

/** What is known of each role; null = it does not run there. */
interface Roles {
  readonly relay: Found | null;
  readonly agent: Found | null;
  readonly gateway: Found | null;
}

async function askAll(
  control: Pick<AskedRelay, "listForwards" | "visits"> & { status(): Promise<Found["status"]> },
  withVisits: boolean,
): Promise<Found> {
  return {
    status: await control.status(),
    forwards: await control.listForwards(),
    visits: withVisits ? await control.visits() : [],
  };
}

async function rolesHere(context: Context, withVisits: boolean): Promise<Roles> {
  const { agentClient, gatewayClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  const { relaySocket, agentSocket, gatewaySocket, directory } = paths;
  const relay = (await isRunning("relay", relaySocket)) ? await askAll(relayClient(relaySocket), withVisits) : null;
  const agent = (await isRunning("agent", agentSocket)) ? await askAll(agentClient(agentSocket), withVisits) : null;
  const control = (await isRunning("gateway", gatewaySocket)) ? gatewayClient(gatewaySocket) : null;
  const gateway = control === null ? null : await askAll(control, withVisits);
  if (relay !== null || agent !== null || gateway !== null) return { relay, agent, gateway };
  throw new ControlError(
    "unreachable",
    `Nothing runs with ${directory}: start \`hatchway serve\`, \`hatchway agent\` or \`hatchway gateway\`, or name its directory with --data.`,
  );
}

async function status(context: Context, withVisits: boolean): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const { relay, agent, gateway } =
    context.options.remote === undefined
      ? await rolesHere(context, withVisits)
      : { relay: await askAll(await relayOf(context), withVisits), agent: null, gateway: null };
  const found = [relay, agent, gateway].filter((one) => one !== null);
  if (context.options.json) {
    const reply = {
      v: 1,
      relay: relay?.status ?? null,
      agent: agent?.status ?? null,
      gateway: gateway?.status ?? null,
      forwards: found.flatMap((one) => one.forwards),
      ...(withVisits ? { visits: found.flatMap((one) => one.visits) } : {}),
    };
    context.io.out(`${JSON.stringify(reply)}\n`);
    return;
  }
  context.io.out(`${found.map((one) => statusText(one, withVisits, nowMs())).join("\n\n")}\n`);
}

function statusText({ status: process, forwards, visits }: Found, withVisits: boolean, nowMs: number): string {
  const lines = linesOf(process);
  const age = formatAge(nowMs - process.startedMs);
  const memory = process.memoryBytes === null ? "" : `, ${formatBytes(process.memoryBytes)} of memory`;
  const common = [
    `  running    ${age}, version ${process.version}, process ${process.pid}${memory}`,
    `  traffic    ${trafficText(process.counters)}`,
  ];
  const refused = formatRefused(process.counters.refused);
  if (refused !== "") common.push(`  refused    ${refused}`);
  const { datagramsDropped } = process.counters;
  if (datagramsDropped > 0) common.push(`  dropped    ${datagramsDropped} UDP datagrams`);
  const blocks = [[...lines, ...common].join("\n")];
  blocks.push(
    forwards.length === 0 ? (process.role === "gateway" ? NO_MAPPINGS : NO_FORWARDS) : forwardsTable(forwards),
  );
  if (withVisits) blocks.push(visits.length === 0 ? "No visitors." : visitsTable(visits, nowMs));
  return blocks.join("\n\n");
}

const NO_MAPPINGS = "No forwards: open one with `hatchway forward add PORTSET --to CLIENT`.";

function linesOf(process: Found["status"]): string[] {
  switch (process.role) {
    case "relay":
      return relayLines(process);
    case "agent":
      return agentLines(process);
    case "gateway":
      return gatewayLines(process);
    default:
      return process satisfies never;
  }
}

function vpnLines(vpn: GatewayStatus["vpn"]): string[] {
  if (vpn === null) return [];
  const peers = vpn.peers === 1 ? "1 peer" : `${vpn.peers} peers`;
  return [`  vpn        ${vpn.endpointHost} port ${vpn.listenPort}/udp, ${vpn.up ? peers : "not up"}`];
}

function gatewayLines(gateway: GatewayStatus): string[] {
  const dropped = Object.entries(gateway.dropped).filter(([, count]) => count > 0);
  return [
    `gateway ${gateway.externalAddress ?? "without an external address"}`,
    `  outside    ${gateway.wan.join(", ")}`,
    ...(gateway.lan.length === 0 ? [] : [`  clients    ${gateway.lan.join(", ")}`]),
    ...vpnLines(gateway.vpn),
    ...gateway.servers.map(
      ({ name, listening, message }) =>
        `  asked by   ${name}: ${listening ? "listening" : "off"}${message === null ? "" : `; ${printable(message)}`}`,
    ),
    ...(dropped.length === 0
      ? []
      : [`  dropped    ${dropped.map(([why, count]) => `${dropWords(why)} ${count}`).join(", ")}`]),
    ...gateway.warnings.map((warning) => `  warning    ${printableLines(warning, WARNING_INDENT)}`),
  ];
}

/** Below the text of a line's own column. */
const WARNING_INDENT = " ".repeat(13);

function relayLines(relay: RelayStatus): string[] {
  return [
    `relay ${relay.publicHost}${relay.draining ? " (stopping)" : ""}`,
    `  agents     at ${relay.listen}: ${relay.devicesConnected} connected of ${relay.devicesEnrolled} enrolled`,
    `  ports      ${relay.ports}`,
    `  identity   SHA-256 ${relay.fingerprint}`,
    ...certificateLines(relay.consoleCertificate),
  ];
}

function certificateLines(certificate: RelayStatus["consoleCertificate"]): string[] {
  if (certificate === null) return [];
  const { untilMs, problem } = certificate;
  const until = `  console    by HTTPS; its certificate is good until ${new Date(untilMs).toISOString().slice(0, "2026-01-01".length)}`;
  return [until, ...(problem === null ? [] : [`             ${printable(problem)}`])];
}

function agentLines(agent: AgentStatus): string[] {
  const link =
    agent.link === "up"
      ? `up, ${formatMs(agent.rttMs)}, ${agent.carriers} carriers`
      : `${agent.link}${agent.message === null ? "" : `: ${printable(agent.message)}`}`;
  const head = agent.name === "" ? "agent" : `agent ${printable(agent.name)}`;
  const relay = agent.relay === null ? ["  relay      none"] : [`  relay      ${agent.relay}`, `  link       ${link}`];
  const ignored = ignoredText(agent.ignored);
  return [head, ...relay, ...(ignored === "" ? [] : [`  ignored    ${ignored}`])];
}

function trafficText(counters: Counters): string {
  const { visitorsOpen, visitorsTotal, bytesIn, bytesOut } = counters;
  return `${visitorsOpen} visitors now, ${visitorsTotal} in all, in ${formatBytes(bytesIn)}, out ${formatBytes(bytesOut)}`;
}

/** The kernel of a gateway did not write it down. */
const NOT_TOLD = "–";

function visitsTable(visits: readonly VisitInfo[], nowMs: number): string {
  const rows = visits.map((visit) => [
    visit.visitor,
    visit.protocol,
    visit.entry,
    visit.forwardName,
    visit.openedMs === null ? NOT_TOLD : formatAge(nowMs - visit.openedMs),
    visit.bytesIn === null ? NOT_TOLD : formatBytes(visit.bytesIn),
    visit.bytesOut === null ? NOT_TOLD : formatBytes(visit.bytesOut),
  ]);
  return formatTable(["VISITOR", "PROTOCOL", "ENTRY", "FORWARD", "AGE", "IN", "OUT"], rows);
}
