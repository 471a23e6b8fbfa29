import type { Command } from "commander";
import { ControlError } from "../servers/local/error.ts";
import type { Run } from "./context.ts";
import { addEntryOptions, EXPOSE_OPTIONS, exposeSpecOf, MAP_OPTIONS, mapSpecOf } from "./entry-options.ts";
import { runForeground } from "./foreground.ts";
import { withAgent } from "./use-agent.ts";

export const PORTSET_HELP = `
PORTSET: 8840 · 8840,8820 · 8810-8815 · 80/tcp · 1000-2000/udp · 53/tcp+udp · 8000:80 (outside:inside)`;

export function defineExpose(program: Command, run: Run): void {
  const command = program
    .command("expose")
    .summary("make ports of this machine, or of a host it reaches, public; until Ctrl-C")
    .description(
      "Opens ports on the relay that lead to a service here, and closes them when it ends. Uses the agent that runs with --data, or starts one for as long as it lives.",
    )
    .argument("<PORTSET>", "the ports of the service");
  addEntryOptions(command, EXPOSE_OPTIONS)
    .option("--via <WAY>", "relay, or router: this machine's own one (then with the options of `map`)", "relay")
    .option("--counters", "with --json: a line of counters every second as well")
    .addHelpText(
      "after",
      `${PORTSET_HELP}
With --json, one line on standard output when the ports are open:
  {"event":"exposed","v":1,"id":…,"name":…,"type":"remote","via":…,"endpoints":[{"protocol":"tcp","host":…,"port":…,"lastPort":…,"internalHost":…,"internalPort":…}]}

Examples:
  hatchway expose 25565
  hatchway expose 3000 --as any
  hatchway expose 25565 --via router
  hatchway expose 8000:80 --to 192.168.1.20 --allow 198.51.100.0/24
  hatchway expose 1000-1999/udp --bandwidth "50 Mbit/s"`,
    )
    .action(async (ports: string, given: Readonly<Record<string, unknown>>, self: Command) =>
      run(self, async (context) => {
        const options = { json: context.options.json === true, counters: given["counters"] === true };
        const { via, counters: _, ...entry } = given;
        if (via === "router") {
          const mapped = await mapSpecOf(ports, onlyOfMaps(entry));
          const startStandalone = await context.io.roles.standalone();
          await runForeground(context.io, 1, (signal) => startStandalone([mapped], signal), options);
          return;
        }
        if (via !== "relay") throw new ControlError("usage", `--via must be relay or router, not "${String(via)}".`);
        const spec = await exposeSpecOf(ports, entry);
        await withAgent(context, (agent) =>
          runForeground(context.io, 1, (signal) => agent.attach([spec], signal), options),
        );
      }),
    );
}

/** A router forwards; it limits nothing, and knows no sources. */
function onlyOfMaps(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const known = new Set(MAP_OPTIONS.map(({ flags }) => flags.split(" ")[0]));
  for (const key of Object.keys(given)) {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (!known.has(flag)) throw new ControlError("usage", `${flag} is for the relay: a router has no such thing.`);
  }
  return given;
}
