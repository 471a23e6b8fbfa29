import type { Command } from "commander";
import type { ForwardInfo, ForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { addEntryOptions, MAP_OPTIONS, mapSpecOf } from "./entry-options.ts";
import { PORTSET_HELP } from "./expose.ts";
import { runForeground } from "./foreground.ts";
import { endpointTexts, formatAge, formatTable, printable, routerText } from "./text.ts";
import { forRouter, tellWanted, wantedPorts } from "./wanted-ports.ts";

export function defineMap(program: Command, run: Run): void {
  const command = program
    .command("map")
    .summary("open ports on the router that is already there (PCP, NAT-PMP, UPnP); until Ctrl-C")
    .description(
      "Asks your own router to send ports to this machine, renews that while it runs, and takes it back when it ends. No relay and no account.",
    )
    .argument("[PORTSET]", "the ports of the service, or the name of a preset")
    .usage("[options] <PORTSET>\n       hatchway map ls\n       hatchway map rm <NAME>");
  addEntryOptions(command, MAP_OPTIONS)
    .option("--detach", "leave it to the agent that runs with --data, which keeps it over restarts")
    .addHelpText(
      "after",
      `${PORTSET_HELP}
The router's own rules and address decide who comes in: \`hatchway router\` shows them.
With --json, one line when the ports are open, and again when a lease is renewed or a port moved:
  {"event":"exposed","v":1,"type":"upstream","via":"router","endpoints":[…],"router":{"protocol":…,"address":…,"model":…},"leaseEndsMs":…,"note":…,…}
  {"event":"lost","v":1,"id":…,"name":…,"message":…}     the router has it no more; it is asked again

Examples:
  hatchway map 25565
  hatchway map xbox --to 192.168.1.30
  hatchway map 8810-8815,9000/udp --protocol tcp
  hatchway map 8443:443 --to 192.168.1.20 --lifetime 10m
  hatchway map 51413/tcp+udp --protocol-only nat-pmp
  hatchway map 25565 --detach`,
    )
    .action(async (ports: string | undefined, given: Readonly<Record<string, unknown>>, self: Command) =>
      run(self, (context) => map(context, ports, given)),
    );
  command
    .command("ls")
    .summary("list the mappings that the agent keeps on the router")
    .addHelpText("after", '\nWith --json: {"v":1,"forwards":[…]}\n\nExample:\n  hatchway map ls')
    .action(async (_given: unknown, self: Command) => run(self, list));
  command
    .command("rm")
    .summary("remove a mapping that `map --detach` made")
    .argument("<NAME>", "its name or id")
    .addHelpText("after", '\nWith --json: {"v":1,"forward":{…}}\n\nExample:\n  hatchway map rm minecraft')
    .action(async (name: string, _given: unknown, self: Command) => run(self, (context) => remove(context, name)));
}

async function map(
  context: Context,
  text: string | undefined,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (text === undefined) throw new ControlError("usage", "Say which ports: `hatchway map 25565`.");
  const wanted = await wantedPorts(text, given);
  const spec = await mapSpecOf(wanted.ports, forRouter(wanted));
  tellWanted(context.io, wanted, "router");
  if (given["detach"] === true) {
    await detach(context, spec);
    return;
  }
  const { io, options } = context;
  const startStandalone = await io.roles.standalone();
  await runForeground(io, 1, (signal) => startStandalone([spec], signal), {
    json: options.json === true,
    counters: false,
  });
}

async function detach(context: Context, spec: ForwardSpec): Promise<void> {
  const { forward } = await (await agentOf(context)).addForward(spec, { lasting: true });
  if (context.options.json) {
    context.io.out(`${JSON.stringify({ v: 1, forward })}\n`);
    return;
  }
  for (const { entry, exit } of endpointTexts(forward.endpoints))
    context.io.out(`${printable(`${entry} → ${exit}`)}\n`);
  if (forward.message !== null) context.io.err(`${printable(forward.message)}\n`);
}

async function list(context: Context): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const agent = await agentOf(context);
  const forwards = (await agent.listForwards()).filter(({ type }) => type === "upstream");
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forwards })}\n`);
  else context.io.out(forwards.length === 0 ? `${NO_MAPS}\n` : `${mapsTable(forwards, nowMs())}\n`);
}

const NO_MAPS = "No mappings: open one with `hatchway map PORTSET --detach`, or list it as [[map]] in hatchway.toml.";

function mapsTable(forwards: readonly ForwardInfo[], nowMs: number): string {
  const rows = forwards.flatMap((forward) => {
    const { name, state, endpoints, leaseEndsMs, router } = forward;
    const [first = { entry: "-", exit: "-" }, ...rest] = endpointTexts(endpoints);
    const lease = router === undefined ? "-" : leaseEndsMs === null ? "permanent" : formatAge(leaseEndsMs - nowMs);
    return [
      [name, state, first.entry, first.exit, lease, router === undefined ? "-" : routerText(router)],
      ...rest.map(({ entry, exit }) => ["", "", entry, exit]),
    ];
  });
  const notes = forwards.flatMap(({ name, message }) =>
    message === null ? [] : [`${printable(name)}: ${printable(message)}`],
  );
  return [formatTable(["NAME", "STATE", "OUTSIDE", "INSIDE", "LEASE", "ROUTER"], rows), ...notes].join("\n");
}

async function remove(context: Context, name: string): Promise<void> {
  const agent = await agentOf(context);
  const known = (await agent.listForwards()).filter((one) => one.name === name || one.id === name);
  if (known.length > 0 && known.every(({ type }) => type !== "upstream")) {
    throw new ControlError("usage", `"${name}" is no mapping of the router: \`hatchway forward rm\` removes it.`);
  }
  const forward = await agent.removeForward(name);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forward })}\n`);
  else context.io.err(`Removed ${printable(forward.name)}.\n`);
}

async function agentOf(context: Context) {
  const { agentClient, isRunning } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  if (await isRunning("agent", paths.agentSocket)) return agentClient(paths.agentSocket);
  throw new ControlError(
    "unreachable",
    `No agent runs with ${paths.directory}: start \`hatchway agent\` (with --no-relay if there is no relay), or name its directory with --data.`,
  );
}
