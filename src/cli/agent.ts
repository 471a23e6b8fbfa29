import type { Command } from "commander";
import type { LinkEvent, RunningAgent } from "../roles/control.ts";
import { formatHostPort } from "../wire/endpoint.ts";
import type { Context, Io, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { runUntilStopped } from "./live.ts";
import { readJoinCode } from "./secrets.ts";
import { asSentence, formatMs, printable } from "./text.ts";

interface AgentOptions {
  readonly join?: string;
  readonly joinFile?: string;
  /** False: --no-relay. */
  readonly relay?: boolean;
  /** Absent: as it was told before. */
  readonly managed?: boolean;
}

export function defineAgent(program: Command, run: Run): void {
  program
    .command("agent")
    .summary("run the agent: what its hatchway.toml lists and what was added")
    .description(
      "Connects this machine to its relay, opens the forwards of hatchway.toml and of `hatchway forward add`, and goes on until Ctrl-C.",
    )
    .option("--join <CODE>", "the join code, the first time; - reads it from standard input")
    .option("--join-file <FILE>", "a file with the join code; - is standard input")
    .option("--managed", "let people at the relay choose ports of this machine to open there; remembered")
    .option("--no-managed", "let them no more")
    .option("--no-relay", "connect to no relay: mappings on the router ([[map]]) and direct forwards alone")
    .addHelpText(
      "after",
      `
Other users of this machine can read the arguments of a command: --join - , --join-file or $HATCHWAY_JOIN keep the code from them.
With --json, one line on standard output for each change of the link:
  {"event":"connected","v":1,"relay":{"host":…,"port":…},"name":…,"deviceId":…,"carriers":…,"rttMs":…}
  {"event":"disconnected","v":1,"message":…,"retryInMs":…}
  {"event":"rejected","v":1,"message":…}          and exit code 3
SIGHUP reads the config again; connections of forwards that did not change go on.

Examples:
  hatchway agent --join-file code.txt
  hatchway agent --join-file code.txt --managed
  hatchway agent
  hatchway agent --no-relay`,
    )
    .action(async (given: AgentOptions, command: Command) => run(command, (context) => agent(context, given)));
}

async function agent(context: Context, given: AgentOptions): Promise<void> {
  const { io, options } = context;
  const joinCode = given.relay === false ? null : await readJoinCode(io, given);
  const place = await findPlace(context, "agent");
  const { agentSettings } = await import("../roles/config/load.ts");
  const log = (await place.readConfig()).file.agent?.log;
  if (options.verbose !== true) {
    // On a terminal the link's changes are told in sentences; elsewhere they are the log's.
    if (log !== undefined) await io.startLog(log);
    else if (io.isTerminal && !options.json) await io.startLog("error");
  }
  const startAgent = await io.roles.agent();
  const running = await startAgent({
    dataDir: place.paths.directory,
    joinCode,
    readSettings: async () => agentSettings(await place.readConfig()),
    runListed: true,
    withoutRelay: given.relay === false,
    ...(given.managed === undefined ? {} : { managed: given.managed }),
  });
  if (given.relay === false && !options.json) io.err("Runs without a relay.\n");
  const ended = new AbortController();
  const telling = tellLink(io, running, options.json === true, ended.signal);
  try {
    await runUntilStopped(io, running);
  } finally {
    ended.abort();
    await telling;
  }
}

async function tellLink(io: Io, running: RunningAgent, json: boolean, signal: AbortSignal): Promise<void> {
  let told = "";
  for await (const event of running.link(signal)) {
    if (json) {
      const { event: name, ...rest } = event;
      io.out(`${JSON.stringify({ event: name, v: 1, ...rest })}\n`);
      continue;
    }
    const sentence = linkSentence(event);
    if (sentence === null || sentence === told || (event.event === "disconnected" && !io.isTerminal)) continue;
    told = sentence;
    io.err(`${sentence}\n`);
  }
}

/** Null when the command's own failure says it. */
function linkSentence(event: LinkEvent): string | null {
  switch (event.event) {
    case "connected": {
      const rtt = event.rttMs === null ? "" : ` (${formatMs(event.rttMs)})`;
      return `Connected to ${formatHostPort(event.relay.host, event.relay.port)} as ${printable(event.name)}${rtt}.`;
    }
    case "disconnected":
      return `Not connected, trying again: ${printable(asSentence(event.message))}`;
    case "rejected":
      return null;
    default:
      return event satisfies never;
  }
}
