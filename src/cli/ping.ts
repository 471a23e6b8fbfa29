import type { Command } from "commander";
import { PING_PATHS, type PingPath } from "../core/ping/model.ts";
import { parsePayload } from "../core/ping/payload.ts";
import { parsePingVia } from "../core/ping/target.ts";
import type { PingEvent, PingRequest } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { err, ok, type Result } from "../wire/result.ts";
import type { TextError } from "../wire/text-error.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { parsedOption } from "./parse.ts";
import { PingReport } from "./ping-report.ts";
import { pingTargetOf, pingViaOf } from "./ping-target.ts";
import { withAgent } from "./use-agent.ts";

interface PingOptions {
  readonly via?: string;
  readonly only?: string;
  readonly payload?: string;
  readonly count: string;
  readonly interval: string;
  readonly timeout: string;
}

export function definePing(program: Command, run: Run): void {
  program
    .command("ping")
    .summary("compare the latency of the direct and the forwarded path")
    .description(
      "Measures latency, jitter and loss of the direct path to TARGET and of the forwarded one, in turns, and plots both.",
    )
    .argument("<TARGET>", "HOST:PORT, or the name or the public port of a forward; /udp behind it for UDP")
    .option("--via <WHERE>", "the forwarded path: relay, agent:NAME or socks5://HOST:PORT (default: relay)")
    .option("--only <PATH>", "measure one path alone: direct or forwarded")
    .option("--payload <BYTES>", "what to send and have answered: a text (\\r \\n \\xFF), or hex:fffe01")
    .option("--count <N>", "probes of each path", "10")
    .option("--interval <TIME>", "between two probes of a path, on average", "200ms")
    .option("--timeout <TIME>", "how long a probe may take until it is lost", "2s")
    .addHelpText("after", HELP)
    .action(async (target: string, given: PingOptions, command: Command) =>
      run(command, (context) => ping(context, target, given)),
    );
}

const HELP = `
A forward's direct path is from this agent to the service, its forwarded path from here to the public port and back to
the service. TCP needs no payload; UDP sends a text that an echo answers, unless --payload names what the service answers.
docs/ping.md says how each figure is taken. The first probe of each path opens the way and is not counted.

With --json, a line a probe as it is answered or lost, and a line at the end (milliseconds; null = none):
  {"event":"probe","v":1,"path":"direct","seq":1,"atMs":…,"ms":…,"lost":null}            or "ms":null,"lost":"timeout"
  {"event":"summary","v":1,"target":…,"protocol":…,"paths":[{"path":…,"via":…,"to":…,"measure":…,"sent":…,"lost":…,
   "losses":{…},"minMs":…,"medianMs":…,"meanMs":…,"p90Ms":…,"p99Ms":…,"maxMs":…,"jitterMs":…}],"addedMs":…,
   "character":"steady","verdict":…}        character: steady, jittery, lossy or dead
Exit code 1 when a path answered nothing.

Examples:
  hatchway ping example.net:443
  hatchway ping db:5432 --via agent:office --count 50
  hatchway ping minecraft
  hatchway ping 203.0.113.7:53/udp --payload hex:0001010000010000000000000000060001
  hatchway ping example.net:443 --via socks5://127.0.0.1:1080`;

async function ping(context: Context, text: string, given: PingOptions): Promise<void> {
  const { PING_LIMITS } = await import("../servers/local/ping-schema.ts");
  const only = given.only === undefined ? null : parsedOption("--only", given.only, parsePath);
  const via = given.via === undefined ? null : parsedOption("--via", given.via, parsePingVia);
  const payload = given.payload === undefined ? null : parsedOption("--payload", given.payload, parsePayload);
  const settings = {
    count: parsedOption("--count", given.count, (value) => parseCount(value, PING_LIMITS.count)),
    intervalMs: parsedOption("--interval", given.interval, (value) => parseTime(value, PING_LIMITS.intervalMs)),
    timeoutMs: parsedOption("--timeout", given.timeout, (value) => parseTime(value, PING_LIMITS.timeoutMs)),
  };
  const target = pingTargetOf(text, await forwardsHere(context));
  const request: PingRequest = {
    target,
    via: pingViaOf(target, via, only),
    only,
    payload: payload === null ? null : payload.toBase64(),
    ...settings,
  };
  if (target.kind === "host" && (request.via === null || request.via.kind === "socks5")) {
    const startPing = await context.io.roles.ping();
    await show(context, text, request, startPing(request, context.io.stop));
  } else {
    await withAgent(context, (agent) => show(context, text, request, agent.ping(request, context.io.stop)));
  }
}

/** Of the agent that runs with --data; null when none does. */
async function forwardsHere(context: Context) {
  const { agentClient, isRunning } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  if (!(await isRunning("agent", paths.agentSocket))) return null;
  return await agentClient(paths.agentSocket).listForwards();
}

const CLEAR_LINE = "\r\u001b[2K";

async function show(
  { io, options }: Context,
  target: string,
  request: PingRequest,
  events: AsyncIterable<PingEvent>,
): Promise<void> {
  const isLive = io.isTerminal && options.json !== true;
  const status = (line: string) => {
    if (isLive) io.out(`${CLEAR_LINE}${line.slice(0, Math.max(0, io.columns - 1))}`);
  };
  let report: PingReport | null = null;
  status("Opening the way …");
  try {
    for await (const event of events) {
      if (event.event === "started") report = new PingReport(event);
      else {
        report?.add(event);
        if (options.json) io.out(`${JSON.stringify(event)}\n`);
      }
      if (report !== null) status(report.progress(request.count));
    }
  } finally {
    status("");
  }
  // Stopped by a person: what there is, is shown.
  if (report === null || report.isEmpty) return;
  io.out(options.json ? `${report.summaryLine(target)}\n` : `${report.text(target, io)}\n`);
  if (!io.stop.aborted) failIfDead(report, request);
}

function failIfDead(report: PingReport, { payload }: PingRequest): void {
  const [dead] = report.dead;
  if (dead === undefined) return;
  const what = `The ${dead.path} path to ${dead.to} answered nothing (${dead.why})`;
  const advice =
    report.protocol === "udp" && payload === null
      ? "give a --payload that the service answers, or look whether it runs"
      : "look whether the service runs and its port is open on the way";
  throw new ControlError("failed", `${what}: ${advice}.`);
}

function parsePath(text: string): Result<PingPath, TextError> {
  const path = PING_PATHS.find((one) => one === text);
  return path === undefined ? wrong(text, `Write ${PING_PATHS.join(" or ")}.`) : ok(path);
}

interface Limits {
  readonly min: number;
  readonly max: number;
}

function parseCount(text: string, { min, max }: Limits): Result<number, TextError> {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  return count >= min && count <= max ? ok(count) : wrong(text, `Write a number from ${min} to ${max}.`);
}

/** `200ms`, `0.2s`, `2s`, `2`: seconds unless it is said. */
function parseTime(text: string, { min, max }: Limits): Result<number, TextError> {
  const [, digits, unit] = /^(\d{1,6}(?:\.\d{1,6})?)\s*(ms|s)?$/.exec(text) ?? [];
  const ms = digits === undefined ? Number.NaN : Number(digits) * (unit === "ms" ? 1 : 1_000);
  if (ms >= min && ms <= max) return ok(ms);
  return wrong(text, `Write a time from ${min}ms to ${max / 1_000}s, such as 200ms or 2s.`);
}

function wrong(text: string, message: string): Result<never, TextError> {
  return err({ message, offset: 0, length: text.length });
}
