import type { Command } from "commander";
import type { Run } from "./context.ts";
import { addEntryOptions, DIRECT_OPTIONS, directSpecOf } from "./entry-options.ts";
import { runForeground } from "./foreground.ts";

export function defineDirect(program: Command, run: Run): void {
  const command = program
    .command("direct")
    .summary("forward ports of this machine to a host it reaches; until Ctrl-C")
    .description("Listens here and connects to TARGET from here: no relay, no agent, no data directory.")
    .argument("<LISTEN>", "8080, 127.0.0.1:8810-8815, *:80, [::1]:8080; without an address: 127.0.0.1")
    .argument("<TARGET>", "db:5432, 192.0.2.7, [2001:db8::7]:80, host:9000-9005; without a port: the same ports");
  addEntryOptions(command, DIRECT_OPTIONS)
    .option("--counters", "with --json: a line of counters every second as well")
    .addHelpText(
      "after",
      `
With --json, one line on standard output when the ports are open: {"event":"exposed","v":1,"type":"direct","endpoints":[…],…}

Examples:
  hatchway direct 5432 db.internal:5432
  hatchway direct '*:8000-8099' 10.0.0.7 --protocol tcp+udp
  hatchway direct '[::]:53' 192.0.2.53:53 --protocol udp`,
    )
    .action(async (listen: string, target: string, given: Readonly<Record<string, unknown>>, self: Command) =>
      run(self, async ({ io, options }) => {
        const spec = await directSpecOf(listen, target, given);
        const startStandalone = await io.roles.standalone();
        const view = { json: options.json === true, counters: given["counters"] === true };
        await runForeground(io, 1, (signal) => startStandalone([spec], signal), view);
      }),
    );
}
