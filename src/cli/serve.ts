import type { Command } from "commander";
import type { RelaySettings } from "../roles/control.ts";
import { formatHostPort, parseHost, parseHostPort } from "../wire/endpoint.ts";
import { parsePortSet, settleProtocol } from "../wire/port-set.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { runUntilStopped } from "./live.ts";
import { parsedOption } from "./parse.ts";

const AGENT_PORT = 7744;

interface ServeOptions {
  readonly listen?: string;
  readonly public?: string;
  readonly ports?: string;
}

export function defineServe(program: Command, run: Run): void {
  program
    .command("serve")
    .summary("run a relay: the public machine that agents connect to")
    .description("Runs a relay. Agents join it with a code from `hatchway join-code create`.")
    .option("--listen <HOST:PORT>", "where agents connect (default: 0.0.0.0:7744)")
    .option("--public <HOST>", "the name or address that visitors and agents use (default: this machine's address)")
    .option("--ports <PORTSET>", "the public ports that agents may open (default: 1024-65535)")
    .addHelpText(
      "after",
      `
With --json, one line on standard output when every listener is open:
  {"event":"ready","v":1,"listen":{"host":…,"port":…},"public":…,"fingerprint":…,"data":…,"pid":…}
SIGHUP reads the config again and keeps connections; SIGTERM and Ctrl-C let visitors finish for 10 seconds.

Examples:
  hatchway serve --public relay.example.net
  hatchway serve --public 203.0.113.7 --ports 20000-29999 --data /srv/hatchway`,
    )
    .action(async (given: ServeOptions, command: Command) => run(command, (context) => serve(context, given)));
}

async function serve(context: Context, given: ServeOptions): Promise<void> {
  const { io, options } = context;
  const overlay = flagsOf(given);
  const place = await findPlace(context, "relay");
  const { relaySettings } = await import("../roles/config/load.ts");
  const first = await place.readConfig();
  const log = first.file.relay?.log;
  if (log !== undefined && options.verbose !== true) await io.startLog(log);
  const startRelay = await io.roles.relay();
  const relay = await startRelay({
    dataDir: place.paths.directory,
    readSettings: async () => ({ ...relaySettings(await place.readConfig()), ...overlay }),
  });
  const { listen, publicHost, fingerprint } = relay.ready;
  if (options.json) {
    const data = place.paths.directory;
    const ready = { event: "ready", v: 1, listen, public: publicHost, fingerprint, data, pid: process.pid };
    io.out(`${JSON.stringify(ready)}\n`);
  } else {
    io.err(`The relay is ready: agents connect to ${formatHostPort(publicHost, listen.port)}.\n`);
    const data = options.data === undefined ? "" : ` --data ${options.data}`;
    io.err(`Let one join with the code of: hatchway join-code create --name NAME${data}\n`);
  }
  await runUntilStopped(io, relay);
}

function flagsOf(given: ServeOptions): Partial<RelaySettings> {
  const { listen, public: publicHost, ports } = given;
  const listenAt = (text: string) =>
    parseHostPort(text, { defaultPort: AGENT_PORT, defaultHost: "0.0.0.0", allowPortZero: true });
  return {
    ...(listen === undefined ? {} : { listen: parsedOption("--listen", listen, listenAt) }),
    ...(publicHost === undefined ? {} : { publicHost: parsedOption("--public", publicHost, parseHost) }),
    ...(ports === undefined ? {} : { ports: settleProtocol(parsedOption("--ports", ports, parsePortSet), "tcp+udp") }),
  };
}
