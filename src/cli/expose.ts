import type { Command } from "commander";
import type { Run } from "./context.ts";
import { addEntryOptions, EXPOSE_OPTIONS, exposeSpecOf } from "./entry-options.ts";
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
    .option("--counters", "with --json: a line of counters every second as well")
    .addHelpText(
      "after",
      `${PORTSET_HELP}
With --json, one line on standard output when the ports are open:
  {"event":"exposed","v":1,"id":…,"name":…,"type":"remote","via":…,"endpoints":[{"protocol":"tcp","host":…,"port":…,"lastPort":…,"internalHost":…,"internalPort":…}]}

Examples:
  hatchway expose 25565
  hatchway expose 3000 --as any
  hatchway expose 8000:80 --to 192.168.1.20 --allow 198.51.100.0/24
  hatchway expose 1000-1999/udp --bandwidth "50 Mbit/s"`,
    )
    .action(async (ports: string, given: Readonly<Record<string, unknown>>, self: Command) =>
      run(self, async (context) => {
        const spec = await exposeSpecOf(ports, given);
        const options = { json: context.options.json === true, counters: given["counters"] === true };
        await withAgent(context, (agent) =>
          runForeground(context.io, 1, (signal) => agent.attach([spec], signal), options),
        );
      }),
    );
}
