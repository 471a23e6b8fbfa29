import type { Command } from "commander";
import type { FollowedEvent } from "../roles/control.ts";
import { formatPortSet } from "../wire/port-set.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { printable } from "./text.ts";

interface EventsOptions {
  readonly follow?: true;
}

export function defineEvents(program: Command, run: Run): void {
  program
    .command("events")
    .summary("show which forwards of the gateway opened, changed and closed")
    .description("Shows what happened to the forwards of the gateway that runs with --data, oldest first.")
    .option("-f, --follow", "go on with what happens, until Ctrl-C")
    .addHelpText(
      "after",
      `
With --json: a line an event, as docs/hooks.md describes it; {"v":1,"event":"missed","count":…} stands for events that
were too old to be kept.

Examples:
  hatchway events
  hatchway events -f --json`,
    )
    .action(async (given: EventsOptions, command: Command) =>
      run(command, (context) => events(context, given.follow === true)),
    );
}

async function events(context: Context, follow: boolean): Promise<void> {
  const { io, options } = context;
  const { gatewayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "gateway");
  for await (const event of gatewayClient(paths.gatewaySocket).events({ since: 0, follow }, io.stop)) {
    io.out(`${options.json ? JSON.stringify(event) : eventText(event)}\n`);
  }
}

function eventText(event: FollowedEvent): string {
  if (event.event === "missed") return `${event.count} earlier events are not kept any more`;
  const { atMs, forward, reason } = event;
  const { name, ports, to, origin } = forward;
  const time = new Date(atMs).toISOString().replace("T", " ").replace(/\..*$/, "");
  const target = to === null ? "" : ` → ${to}`;
  const why = reason === null ? "" : `, ${reason}`;
  return printable(`${time}  ${event.event}  ${formatPortSet({ ranges: ports })}${target}  ${name} (${origin}${why})`);
}
