import type { Command } from "commander";
import type { ForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { addEntryOptions, EXPOSE_OPTIONS, exposeSpecOf, MAP_OPTIONS, mapSpecOf } from "./entry-options.ts";
import { runForeground } from "./foreground.ts";
import { joinedRelayOf, withAgent } from "./use-agent.ts";
import { forRouter, requireSources, tellWanted, type WantedPorts, wantedPorts } from "./wanted-ports.ts";

export const PORTSET_HELP = `
PORTSET: 8840 · 8840,8820 · 8810-8815 · 80/tcp · 1000-2000/udp · 53/tcp+udp · 8000:80 (outside:inside)
         or a preset's name: minecraft-java · xbox · plex (\`hatchway presets\` lists them)`;

const WAYS = ["relay", "router", "vpn", "auto"] as const;
type GivenWay = (typeof WAYS)[number];

export function defineExpose(program: Command, run: Run): void {
  const command = program
    .command("expose")
    .summary("make ports of this machine, or of a host it reaches, public; until Ctrl-C")
    .description(
      "Opens ports on the relay, or on the router that is already there, that lead to a service here, and closes them when it ends. Uses the agent that runs with --data, or starts one for as long as it lives.",
    )
    .argument("<PORTSET>", "the ports of the service, or the name of a preset");
  addEntryOptions(command, EXPOSE_OPTIONS)
    .option(
      "--via <WAY>",
      "relay; router: this machine's own; vpn: the gateway of its VPN; auto: the router if a check proves that visitors get in, else the relay (default: relay, or router when no relay was joined)",
    )
    .option("--router <ADDRESS>", "with --via router, vpn or auto: the router to ask")
    .option("--counters", "with --json: a line of counters every second as well")
    .addHelpText(
      "after",
      `${PORTSET_HELP}
A router knows no sources and no limits: with such options the relay is the only way.
With --json, one line on standard output when the ports are open:
  {"event":"exposed","v":1,"id":…,"name":…,"type":"remote"|"upstream","via":…,"endpoints":[{"protocol":"tcp","host":…,"port":…,"lastPort":…,"internalHost":…,"internalPort":…}]}
  An endpoint of a site (--host) has "url":… as well.
and with --via auto lines before it that say which way is taken, and why:
  {"event":"way","v":1,"via":"router"|"vpn"|"relay","state":"trying"|"left"|"taken","message":…}

Examples:
  hatchway expose 25565
  hatchway expose minecraft-java
  hatchway expose 3000 --as any
  hatchway expose 25565 --via auto
  hatchway expose 51413/tcp+udp --via vpn --router 10.2.0.1
  hatchway expose 8080 --host app.example.org
  hatchway expose 8443 --host mail.example.org --tls pass
  hatchway expose 8000:80 --to 192.168.1.20 --allow 198.51.100.0/24
  hatchway expose 1000-1999/udp --bandwidth "50 Mbit/s"`,
    )
    .action(async (ports: string, given: Given, self: Command) =>
      run(self, (context) => expose(context, ports, given)),
    );
}

type Given = Readonly<Record<string, unknown>>;

async function expose(context: Context, text: string, given: Given): Promise<void> {
  const { via: named, counters, router, ...options } = given;
  const view = { json: context.options.json === true, counters: counters === true };
  const way = wayOf(named);
  if (router !== undefined && way === "relay") {
    throw new ControlError("usage", "--router is for --via router, vpn or auto: the relay asks none.");
  }
  const wanted = await wantedPorts(text, options);
  const upstream = forRouter(wanted);
  const asked = { wanted, upstream: router === undefined ? upstream : { ...upstream, router } };
  switch (way) {
    case null:
    case "relay":
      await byRelay(context, asked, way !== null, view);
      return;
    case "router":
      await byRouter(context, await routerSpecOf(wanted.ports, asked.upstream), wanted, view);
      return;
    case "vpn": {
      const gateway = router ?? (await vpnOf(context));
      await byRouter(context, await routerSpecOf(wanted.ports, { ...upstream, router: gateway }), wanted, view);
      return;
    }
    case "auto":
      await byBestWay(context, asked, view);
      return;
    default:
      way satisfies never;
  }
}

/** The arguments, as the relay and as a router understands them. */
interface Asked {
  readonly wanted: WantedPorts;
  readonly upstream: Given;
}

interface View {
  readonly json: boolean;
  readonly counters: boolean;
}

function wayOf(named: unknown): GivenWay | null {
  if (named === undefined) return null;
  const found = WAYS.find((way) => way === named);
  if (found !== undefined) return found;
  throw new ControlError("usage", `--via must be relay, router, vpn or auto, not "${String(named)}".`);
}

/** A person who has a relay means it; another one has only a router, unless `isNamed`. */
async function byRelay(context: Context, { wanted, upstream }: Asked, isNamed: boolean, view: View): Promise<void> {
  const spec = await exposeSpecOf(wanted.ports, wanted.given);
  requireSources(wanted);
  if (!isNamed && (await joinedRelayOf(context)) === null) {
    const asked = await routerSpecOf(wanted.ports, upstream).catch(sentenceOf);
    if (typeof asked === "string") throw new ControlError("usage", `${asked} ${NO_RELAY}: join one for that.`);
    context.io.err(`${NO_RELAY}, so your own router is asked (--via router).\n`);
    await byRouter(context, asked, wanted, view);
    return;
  }
  tellWanted(context.io, wanted, "relay");
  await withAgent(context, (agent) => runForeground(context.io, 1, (signal) => agent.attach([spec], signal), view));
}

const NO_RELAY = "No relay was joined here";

async function vpnOf({ io }: Context): Promise<string> {
  const gateway = await (await io.roles.findVpnGateway())(io.stop);
  if (gateway !== null) {
    io.err(`Asking ${gateway}, as the gateway of the VPN; --router names another.\n`);
    return gateway;
  }
  const message = "This machine is in no VPN that it knows: connect to it, or name its gateway with --router.";
  throw new ControlError("usage", message);
}

async function byRouter(context: Context, spec: ForwardSpec, wanted: WantedPorts, view: View): Promise<void> {
  tellWanted(context.io, wanted, "router");
  const startStandalone = await context.io.roles.standalone();
  await runForeground(context.io, 1, (signal) => startStandalone([spec], signal), view);
}

async function byBestWay(context: Context, { wanted, upstream }: Asked, view: View): Promise<void> {
  const { io } = context;
  requireSources(wanted);
  const stunServer = await joinedRelayOf(context);
  if (stunServer === null) {
    const spec = await routerSpecOf(wanted.ports, upstream);
    io.err(`${NO_RELAY}, so nobody outside can look whether the router's port is reached.\n`);
    await byRouter(context, spec, wanted, view);
    return;
  }
  const remote = await exposeSpecOf(wanted.ports, wanted.given);
  const asked = await routerSpecOf(wanted.ports, upstream).catch(sentenceOf);
  tellWanted(io, wanted, "relay");
  const exposeByBestWay = await io.roles.exposeByBestWay();
  await withAgent(context, (agent) => {
    const options = { upstream: asked, remote, agent, stunServer };
    return runForeground(io, 1, (signal) => exposeByBestWay(options, signal), view);
  });
}

/** What is good for the relay and not for a router says why. */
function sentenceOf(error: unknown): string {
  if (error instanceof ControlError && error.kind === "usage") return error.message;
  throw error;
}

/** A router forwards; it limits nothing, and knows no sources. */
async function routerSpecOf(ports: string, given: Given) {
  const known = new Set(MAP_OPTIONS.map(({ flags }) => flags.split(" ")[0]));
  for (const key of Object.keys(given)) {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (!known.has(flag)) throw new ControlError("usage", `${flag} is for the relay: a router has no such thing.`);
  }
  return mapSpecOf(ports, given);
}
