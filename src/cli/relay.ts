import type { Command } from "commander";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";

export function defineRelay(program: Command, run: Run): void {
  const group = program
    .command("relay")
    .summary("put a new version of the program in the place of a running relay")
    .description("Has to do with the process of the relay that runs with --data, on its own machine.");
  group
    .command("upgrade")
    .summary("start this program in the place of the running one, and drop nothing")
    .description(
      "Starts the program that this command is of, with the running relay's own arguments. The new process reads the config and takes over; agents connect to it before they leave the old one, which ends when the connections that it has are closed, or after an hour. If the new process cannot take over, the old one goes on as it was.",
    )
    .addHelpText(
      "after",
      `
With --json: {"v":1,"pid":…,"version":…,"tookMs":…}

Example:
  hatchway relay upgrade --data /var/lib/hatchway`,
    )
    .action(async (_given: unknown, command: Command) => run(command, upgrade));
}

async function upgrade(context: Context): Promise<void> {
  const { io, options } = context;
  if (io.program === undefined) throw new ControlError("usage", "This program cannot start itself again.");
  const { relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  const reply = await relayClient(paths.relaySocket).upgrade({ program: io.program });
  if (options.json) io.out(`${JSON.stringify(reply)}\n`);
  else
    io.err(
      `The relay is process ${reply.pid} now, version ${reply.version}; it took over within ${reply.tookMs} ms.\n`,
    );
}
