import type { Command } from "commander";
import type { GatewaySettings } from "../roles/gateway/settings.ts";
import { ControlError } from "../servers/local/error.ts";
import { consoleText, linklessText, parseConsole } from "./console.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { runUntilStopped } from "./live.ts";
import { collect, parsedOption } from "./parse.ts";
import { printableLines } from "./text.ts";

interface GatewayOptions {
  readonly wan?: readonly string[];
  readonly lan?: readonly string[];
  readonly public?: string;
  readonly vpn?: true;
  readonly console?: string;
}

export function defineGateway(program: Command, run: Run): void {
  const gateway = program
    .command("gateway")
    .allowExcessArguments()
    .summary("forward ports to LAN and VPN clients, by the kernel")
    .description(
      "Runs a gateway on a Linux router or VPN server: the kernel leads external ports to clients. People open them with `hatchway forward add`, apps by UPnP-IGD, NAT-PMP and PCP.",
    )
    .option("--wan <IF>", "the interface where visitors come from; repeat for more", collect)
    .option("--lan <IF>", "the interface where the clients are; repeat for more", collect)
    .option("--public <ADDRESS>", "the IPv4 address that visitors use (default: the WAN interface's own)")
    .option("--vpn", "a WireGuard VPN server as well (see `hatchway vpn`)")
    .option(
      "--console <HOST:PORT>",
      "serve the web console and its API there: by HTTP on a loopback address, else by HTTPS (default: no console)",
    )
    .addHelpText(
      "after",
      `
With --json, one line on standard output when the kernel forwards and the servers listen:
  {"event":"ready","v":1,"wan":[…],"lan":[…],"externalAddress":…,"servers":[…],"warnings":[…],
   "console":{"url":…,"setupLink":…|null}|null,"data":…,"pid":…}
It starts as root, and keeps root for one small helper. SIGHUP reads the config again. When it stops, the kernel goes on
forwarding for a start that follows; \`hatchway gateway stop --clean\` leaves nothing behind.

Examples:
  hatchway gateway --wan eth0 --lan br0
  hatchway gateway --wan eth0 --vpn
  hatchway gateway --wan eth0 --lan br0 --console 192.168.1.1:7780
  hatchway gateway --config /etc/hatchway.toml
  hatchway gateway stop --clean`,
    )
    .action(async (given: GatewayOptions, command: Command) =>
      run(command, (context) => {
        const [extra] = command.args;
        if (extra === undefined) return serve(context, given);
        const message = `There is no command "gateway ${extra}": it is \`gateway stop\`, or \`gateway\` with options alone.`;
        throw new ControlError("usage", message);
      }),
    );
  gateway
    .command("stop")
    .summary("stop the gateway that runs with --data")
    .description("Stops the gateway that runs with --data.")
    .option("--clean", "take everything of it out of the kernel as well")
    .addHelpText("after", "\nExample:\n  hatchway gateway stop --clean")
    .action(async (given: { readonly clean?: true }, command: Command) =>
      run(command, (context) => stop(context, given.clean === true)),
    );
}

async function serve(context: Context, given: GatewayOptions): Promise<void> {
  const { io, options } = context;
  const place = await findPlace(context, "gateway");
  const { gatewaySettings } = await import("../roles/config/gateway.ts");
  const { consoleAt, consoleSettings, pathBeside } = await import("../roles/config/load.ts");
  const listen = given.console === undefined ? null : parsedOption("--console", given.console, parseConsole);
  const first = await place.readConfig();
  const log = first.file.gateway?.log;
  if (log !== undefined && options.verbose !== true) await io.startLog(log);
  const overlay = await flagsOf(given);
  const startGateway = await io.roles.gateway();
  const gateway = await startGateway({
    dataDir: place.paths.directory,
    logFormat: options.logFormat ?? "human",
    configFile: first.path,
    readSettings: async () => {
      const config = await place.readConfig();
      const console = listen === null ? consoleSettings(config) : consoleAt(config, listen);
      return { ...gatewaySettings(config.file, pathBeside(config)), console, ...overlay };
    },
  });
  const { ready } = gateway;
  if (options.json) {
    const line = { event: "ready", v: 1, ...ready, data: place.paths.directory, pid: process.pid };
    io.out(`${JSON.stringify(line)}\n`);
  } else {
    io.err(`The gateway is ready: visitors reach its clients at ${ready.externalAddress ?? "no address yet"}.\n`);
    for (const warning of ready.warnings) io.err(`hatchway: ${printableLines(warning)}\n`);
    const data = options.data === undefined ? "" : ` --data ${options.data}`;
    io.err(`Open a port: hatchway forward add PORTSET --to CLIENT${data}\n`);
    const { console } = ready;
    if (console !== null) io.err(options.logFormat === "json" ? linklessText(console) : consoleText(console));
  }
  await runUntilStopped(io, gateway);
}

/** The same checks as in hatchway.toml. */
async function flagsOf(given: GatewayOptions): Promise<Partial<GatewaySettings>> {
  const { gatewaySection } = await import("../roles/config/gateway-schema.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const { failWith } = await import("./entry-options.ts");
  const entry = {
    ...(given.wan === undefined ? {} : { wan: [...given.wan] }),
    ...(given.lan === undefined ? {} : { lan: [...given.lan] }),
    ...(given.public === undefined ? {} : { public: given.public }),
  };
  const parsed = gatewaySection.safeParse(entry);
  const {
    wan,
    lan,
    public: publicAddress,
  } = parsed.success
    ? parsed.data
    : failWith(
        problemsOf(parsed.error.issues, entry, () => Object.keys(entry)),
        {},
        renderProblem,
      );
  return {
    ...(wan === undefined ? {} : { wan }),
    ...(lan === undefined ? {} : { lan }),
    ...(publicAddress === undefined ? {} : { publicAddress }),
    ...(given.vpn === true ? { vpnWanted: true } : {}),
  };
}

const STOPPED =
  "The gateway stopped; the kernel goes on forwarding what was open. To end that too: `hatchway gateway stop --clean`.\n";

async function stop(context: Context, clean: boolean): Promise<void> {
  const { gatewayClient, isRunning } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "gateway");
  if (clean && !(await isRunning("gateway", paths.gatewaySocket))) await cleanUp(context, paths.privileged);
  else await gatewayClient(paths.gatewaySocket).stop({ clean });
  if (context.options.json) context.io.out('{"v":1,"stopped":true}\n');
  else context.io.err(clean ? "The gateway stopped and left nothing in the kernel.\n" : STOPPED);
}

/** What a gateway left that does not run any more. */
async function cleanUp({ io }: Context, directory: string): Promise<void> {
  if (!io.isRoot) throw new ControlError("usage", "Run this as root: it changes the kernel's forwarding.");
  const { cleanKernel } = await import("../roles/gateway/clean.ts");
  const [problem] = await cleanKernel(directory);
  if (problem !== undefined) throw new ControlError("failed", problem);
}
