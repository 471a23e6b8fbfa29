import { existsSync } from "node:fs";
import type { Command } from "commander";
import { PROBE_IDS } from "../core/check/probes.ts";
import { parseCheckTarget } from "../core/check/target.ts";
import type { CheckReport, CheckRequest } from "../roles/control.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../wire/endpoint.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { parsedOption } from "./parse.ts";
import { printable } from "./text.ts";
import { withAgent } from "./use-agent.ts";

const CLEAR_LINE = "\r\u001b[2K";

interface CheckOptions {
  readonly payload?: string;
  readonly service?: string;
}

export function defineCheck(program: Command, run: Run): void {
  program
    .command("check")
    .summary("see whether a port can be reached from outside, and if not, where it fails")
    .description(
      "Sees whether a port is open from outside: a forward of this agent as its visitors come to it, or a port of this machine's own public address as the relay sees it. On a relay or gateway it looks at its forwards from there.",
    )
    .argument("<TARGET>", "[HOST:]PORT, [HOST:]PORT/udp, or the name of a forward")
    .option("--payload <NAME>", `what a UDP service is asked: ${PROBE_IDS.join(", ")} (default: by its port)`)
    .option("--service <HOST:PORT>", "where the service is, when no forward says it (default: that port, here)")
    .addHelpText(
      "after",
      `
It says where it fails: dns (a site's name leads elsewhere), isp, router, relay, policy (a rule says no), agent, host-firewall or service. A relay looks only
at the address that asks, and makes few checks a minute. Where nothing has the port, this command takes it for as long as
the check lasts, so that the way to it can be tried. As root it sees packets come before the firewall does.
Exit code 0: open, 1: not. With --json, one line:
  {"v":1,"target":{"protocol":…,"host":…,"port":…,"forward":…},"state":"open"|"closed"|"filtered"|"dead-service"|"unknown",
   "hop":…|"none","sure":true|false,"rule":…,"sentence":…,"remedy":…|null,"evidence":[{"hop":…,"mark":"ok"|"bad"|"unknown","text":…}]}

Examples:
  hatchway check 25565
  hatchway check minecraft
  hatchway check home.example.net:19132/udp --payload minecraft-bedrock
  hatchway check 8080 --service 192.168.1.20:80`,
    )
    .action(async (target: string, given: CheckOptions, command: Command) =>
      run(command, (context) => check(context, target, given)),
    );
}

async function check(context: Context, target: string, given: CheckOptions): Promise<number> {
  const { io } = context;
  const request = requestOf(target, given);
  const isShown = io.isTerminal && context.options.json !== true;
  if (isShown) io.out(`Checking ${printable(target)} …`);
  const report = await Promise.race([reportFor(context, request), stopped(io.stop)]).finally(() => {
    if (isShown) io.out(CLEAR_LINE);
  });
  io.out(context.options.json ? `${JSON.stringify(report)}\n` : checkText(report));
  return report.state === "open" ? EXIT_CODES.ok : EXIT_CODES.failed;
}

/** Rejects when the program is stopped: whoever was asked is not waited for. */
function stopped(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new ControlError("failed", "The check was stopped before it had an answer."));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return promise;
}

function requestOf(target: string, { payload, service }: CheckOptions): CheckRequest {
  return {
    target: parsedOption("TARGET", target, parseCheckTarget),
    payload: payload === undefined ? null : parsedOption("--payload", payload, parsePayload),
    service: service === undefined ? null : parsedOption<HostPort>("--service", service, parseService),
  };
}

function parsePayload(text: string) {
  if (PROBE_IDS.includes(text)) return { ok: true, value: text } as const;
  const error = { message: `Choose one of ${PROBE_IDS.join(", ")}.`, offset: 0, length: text.length };
  return { ok: false, error } as const;
}

function parseService(text: string) {
  return parseHostPort(text, { defaultHost: "127.0.0.1" });
}

/** Asks whoever knows most: the agent, the relay or the gateway that runs with --data, an agent for this one check. */
async function reportFor(context: Context, request: CheckRequest): Promise<CheckReport> {
  const { agentClient, gatewayClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { checkAtRelay, checkHere, clientOf, findForward } = await import("../roles/check/here.ts");
  const { paths } = await findPlace(context, "agent");
  const { stop } = context.io;
  const agent = (await isRunning("agent", paths.agentSocket)) ? agentClient(paths.agentSocket) : null;
  const relay = (await isRunning("relay", paths.relaySocket)) ? relayClient(paths.relaySocket) : null;
  const gateway = (await isRunning("gateway", paths.gatewaySocket)) ? gatewayClient(paths.gatewaySocket) : null;
  const isRelays =
    relay !== null &&
    findForward(await relay.listForwards(), request.target) !== null &&
    (agent === null || findForward(await agent.listForwards(), request.target) === null);
  if (agent !== null && !isRelays) {
    // The relay that looks from outside knows nothing of this gateway's mapping: where that leads is told to the agent.
    const found = gateway === null ? null : findForward(await gateway.listForwards(), request.target);
    const { service } = request;
    if (found === null) return await agent.check(request);
    const { protocol, port, forward } = found;
    if (forward.state === "open") {
      const target = { kind: "port", host: null, port, protocol } as const;
      return await agent.check({ ...request, target, service: service ?? clientOf(found) });
    }
  }
  if (relay !== null) return await checkAtRelay(relay, request, stop);
  if (gateway !== null) return await checkHere(gateway, request, "no agent with a relay runs here.", stop);
  if (!existsSync(paths.agentState)) {
    return await checkHere(null, request, "no agent here has joined a relay.", stop);
  }
  const made: CheckReport[] = [];
  await withAgent(context, async (own) => {
    made.push(await own.check(request));
  });
  const [report] = made;
  if (report === undefined) throw new Error("the agent ended without an answer");
  return report;
}

const MARKS = { ok: "✓", bad: "✗", unknown: "?" } as const;
const HOP_COLUMNS = "host-firewall".length;

/** One line a hop, from outside inwards, then what it comes to. */
export function checkText({ target, state, evidence, sentence, remedy, sure }: CheckReport): string {
  const { host, port, protocol, forward } = target;
  const place = host === null ? `port ${port}` : formatHostPort(host, port);
  const name = forward === null || forward === "" ? "" : ` (forward "${forward}")`;
  const lines = evidence.map(({ hop, mark, text }) => `  ${MARKS[mark]} ${hop.padEnd(HOP_COLUMNS)}  ${text}`);
  const verdict = `${state}${sure || state === "unknown" ? "" : ", most likely"}: ${sentence}`;
  return `${[`${place}/${protocol}${name}`, ...lines, verdict, ...(remedy === null ? [] : [remedy])].map(printable).join("\n")}\n`;
}
