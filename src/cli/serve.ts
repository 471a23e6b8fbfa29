import type { Command } from "commander";
import { messageOf } from "../os/errors.ts";
import type { RelaySettings, RunningGateway, RunningRelay, StartSuccessor } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { formatHostPort, type HostPort, parseHost, parseHostPort } from "../wire/endpoint.ts";
import { parsePortSet, settleProtocol } from "../wire/port-set.ts";
import { consoleText, linklessText, parseConsole } from "./console.ts";
import type { Context, Run } from "./context.ts";
import { findPlace, type Place } from "./data-dir.ts";
import { runUntilStopped } from "./live.ts";
import { parsedOption } from "./parse.ts";
import { printable } from "./text.ts";

const AGENT_PORT = 7744;

interface ServeOptions {
  readonly listen?: string;
  readonly public?: string;
  readonly ports?: string;
  readonly console?: string;
  readonly takeOver?: true;
}

const TAKE_OVER = "--take-over";

export function defineServe(program: Command, run: Run): void {
  program
    .command("serve")
    .summary("run a relay: the public machine that agents connect to")
    .description("Runs a relay. Agents join it with a code from `hatchway join-code create`.")
    .option("--listen <HOST:PORT>", "where agents connect (default: 0.0.0.0:7744)")
    .option("--public <HOST>", "the name or address that visitors and agents use (default: this machine's address)")
    .option("--ports <PORTSET>", "the public ports that agents may open (default: 1024-65535)")
    .option(
      "--console <HOST:PORT>",
      "serve the web console and its API there: by HTTP on a loopback address, else by HTTPS (default: no console)",
    )
    .option(TAKE_OVER, "take over from the relay that runs with this data directory, without a dropped connection")
    .addHelpText(
      "after",
      `
With --json, one line on standard output when every listener is open:
  {"event":"ready","v":1,"listen":{"host":…,"port":…},"public":…,"fingerprint":…,"console":{"url":…,"setupLink":…|null}|null,
   "ssh":{"listen":{…},"hostKey":…,"fingerprint":…} with [ssh],"data":…,"pid":…}
With [gateway] in hatchway.toml this machine is a gateway as well, and "gateway" is in that line.
It answers STUN too, on UDP at the number of the agent port and at the next one; "stun = false" in [relay] turns that off.
SIGHUP reads the config again and keeps connections; \`hatchway relay upgrade\` starts the program on the disk in its place. SIGTERM and Ctrl-C let visitors finish for 10 seconds.

Examples:
  hatchway serve --public relay.example.net
  hatchway serve --public relay.example.net --console 127.0.0.1:7780
  hatchway serve --public 203.0.113.7 --ports 20000-29999 --data /srv/hatchway`,
    )
    .action(async (given: ServeOptions, command: Command) => run(command, (context) => serve(context, given)));
}

async function serve(context: Context, given: ServeOptions): Promise<void> {
  const starting = start(context, given);
  const { relay, gateway } =
    given.takeOver === true ? await starting.catch((error) => decline(context, error)) : await starting;
  await runUntilStopped(context.io, gateway === null ? relay : both(relay, gateway.running));
}

/** Whoever asked for the upgrade waits at the relay that goes on. */
async function decline(context: Context, error: unknown): Promise<never> {
  const { relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  // It may have no relay to tell, and the failure is told here in any case.
  await relayClient(paths.relaySocket)
    .declineUpgrade(messageOf(error))
    .catch(() => undefined);
  throw error;
}

async function start(context: Context, given: ServeOptions) {
  const { io, options } = context;
  const overlay = flagsOf(given);
  const place = await findPlace(context, "relay");
  const { consoleAt, relaySettings } = await import("../roles/config/load.ts");
  const first = await place.readConfig();
  const log = first.file.relay?.log;
  if (log !== undefined && options.verbose !== true) await io.startLog(log);
  const dataDir = place.paths.directory;
  const startRelay = await io.roles.relay();
  const readSettings = async () => {
    const config = await place.readConfig();
    const { console: listen, ...rest } = overlay;
    const settings = { ...relaySettings(config), ...rest };
    if (listen !== null) return { ...settings, console: consoleAt(config, listen) };
    if (settings.console !== null || config.file.acme === undefined) return settings;
    throw new ControlError(
      "usage",
      "[acme] is for the console: say where it listens, by [console] listen or --console.",
    );
  };
  if (given.takeOver === true && first.file.gateway !== undefined) {
    const message =
      "A relay with [gateway] beside it cannot be taken over: stop it, and start this one without --take-over.";
    throw new ControlError("usage", message);
  }
  const gateway = first.file.gateway === undefined ? null : await startGatewayBeside(context, place);
  const relay = await startRelay({
    dataDir,
    readSettings,
    configFile: first.path,
    takeOver: given.takeOver === true,
    handedOver: await mainPidTeller(io),
    ...(io.startAgain === undefined ? {} : { startSuccessor: successor(io.startAgain, given) }),
    ...(gateway === null
      ? {}
      : { ports: gateway.ports, gatewayMetrics: gateway.running.metrics, gatewayBeside: gateway.running.beside }),
  }).catch(async (error: unknown) => {
    await gateway?.running.stop();
    throw error;
  });
  const { listen, publicHost, fingerprint, console, ssh } = relay.ready;
  if (options.json) {
    const data = place.paths.directory;
    const both = gateway === null ? {} : { gateway: gateway.running.ready };
    const about = {
      listen,
      public: publicHost,
      fingerprint,
      console,
      ...(ssh === undefined ? {} : { ssh }),
      data,
      pid: process.pid,
    };
    const ready = { event: "ready", v: 1, ...about, ...both };
    io.out(`${JSON.stringify(ready)}\n`);
  } else {
    io.err(`The relay is ready: agents connect to ${formatHostPort(publicHost, listen.port)}.\n`);
    const data = options.data === undefined ? "" : ` --data ${options.data}`;
    io.err(`Let one join with the code of: hatchway join-code create --name NAME${data}\n`);
    if (ssh !== undefined) {
      io.err(`SSH clients connect to ${formatHostPort(publicHost, ssh.listen.port)}; its key is ${ssh.fingerprint}.\n`);
    }
    if (console !== null) io.err(options.logFormat === "json" ? linklessText(console) : consoleText(console));
  }
  for (const warning of gateway?.running.ready.warnings ?? []) io.err(`hatchway: ${printable(warning)}\n`);
  return { relay, gateway };
}

/**
 * Of a unit with Type=notify: the new process is the one to supervise. What tells it is loaded now: by then another version is on
 * the disk.
 */
async function mainPidTeller(io: Context["io"]): Promise<(pid: number) => Promise<void>> {
  const socket = io.env["NOTIFY_SOCKET"];
  if (socket === undefined) return () => Promise.resolve();
  const { NOTICE, notifySystemd } = await import("../os/notify-systemd.ts");
  return (pid) => {
    const told = notifySystemd([NOTICE.mainPid(pid)], socket);
    if (!told.ok) io.err(`hatchway: ${told.error}\n`);
    return Promise.resolve();
  };
}

/** A process that took over itself has the flag among its arguments. */
function successor(startAgain: NonNullable<Context["io"]["startAgain"]>, { takeOver }: ServeOptions): StartSuccessor {
  return (program) => startAgain(program, takeOver === true ? [] : [TAKE_OVER]);
}

/** [gateway] in the configuration: this machine is a gateway as well. It comes first, because it gives up root. */
async function startGatewayBeside(context: Context, place: Place) {
  const { gatewaySettings } = await import("../roles/config/gateway.ts");
  const { pathBeside } = await import("../roles/config/load.ts");
  const { newEntryPorts } = await import("../core/table.ts");
  const startGateway = await context.io.roles.gateway();
  // What the relay needs is loaded while it can be read, whoever this process is then.
  await context.io.roles.relay();
  const ports = newEntryPorts();
  const running = await startGateway({
    dataDir: place.paths.directory,
    logFormat: context.options.logFormat ?? "human",
    readSettings: async () => {
      const config = await place.readConfig();
      // The relay has the console, and its listener what both tell.
      return { ...gatewaySettings(config.file, pathBeside(config)), console: null, metrics: null };
    },
    relayPorts: ports,
  });
  return { running, ports };
}

/** Two roles that live and end together. */
function both(relay: RunningRelay, gateway: RunningGateway) {
  return {
    closed: Promise.race([relay.closed, gateway.closed]).then(async () => {
      await Promise.all([relay.stop({ drainMs: 0 }), gateway.stop()]);
    }),
    async stop(options?: { readonly drainMs?: number }) {
      await relay.stop(options);
      await gateway.stop();
    },
    async reload() {
      // The gateway's may fail, and then nothing is changed.
      const ofGateway = await gateway.reload();
      const reports = [await relay.reload(), ofGateway];
      return {
        refused: reports.flatMap(({ refused }) => refused),
        needRestart: reports.flatMap(({ needRestart }) => needRestart),
      };
    },
  };
}

interface Overlay extends Partial<Omit<RelaySettings, "console">> {
  /** Null: as the config file has it. */
  readonly console: HostPort | null;
}

function flagsOf(given: ServeOptions): Overlay {
  const { listen, public: publicHost, ports, console } = given;
  const listenAt = (text: string) =>
    parseHostPort(text, { defaultPort: AGENT_PORT, defaultHost: "0.0.0.0", allowPortZero: true });
  return {
    console: console === undefined ? null : parsedOption("--console", console, parseConsole),
    ...(listen === undefined ? {} : { listen: parsedOption("--listen", listen, listenAt) }),
    ...(publicHost === undefined ? {} : { publicHost: parsedOption("--public", publicHost, parseHost) }),
    ...(ports === undefined ? {} : { ports: settleProtocol(parsedOption("--ports", ports, parsePortSet), "tcp+udp") }),
  };
}
