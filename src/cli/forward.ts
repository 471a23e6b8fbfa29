import type { Command } from "commander";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { addEntryOptions, EXPOSE_OPTIONS, exposeSpecOf } from "./entry-options.ts";
import { PORTSET_HELP } from "./expose.ts";
import { endpointTexts, forwardsTable, NO_FORWARDS, printable } from "./text.ts";

export function defineForward(program: Command, run: Run): void {
  const group = program
    .command("forward")
    .summary("list, add and remove lasting forwards")
    .description("The forwards of the agent (or relay) that runs with --data.");
  group
    .command("ls")
    .summary("list the forwards")
    .description("Lists the forwards of the agent that runs with --data, or else of the relay.")
    .addHelpText("after", '\nWith --json: {"v":1,"forwards":[…]}\n\nExample:\n  hatchway forward ls')
    .action(async (_given: unknown, command: Command) => run(command, list));
  const add = group
    .command("add")
    .summary("add a forward that lasts over restarts")
    .description("Opens ports on the relay through the running agent, and keeps them until `hatchway forward rm`.")
    .argument("<PORTSET>", "the ports of the service");
  addEntryOptions(add, EXPOSE_OPTIONS)
    .addHelpText(
      "after",
      `${PORTSET_HELP}
With --json: {"v":1,"forward":{…}}

Examples:
  hatchway forward add 25565 --name minecraft
  hatchway forward add 8810-8815 --to 192.168.1.20 --protocol tcp+udp`,
    )
    .action(async (ports: string, given: Readonly<Record<string, unknown>>, command: Command) =>
      run(command, (context) => addForward(context, ports, given)),
    );
  group
    .command("rm")
    .summary("remove a forward that `forward add` made")
    .description("Closes a forward and forgets it. What hatchway.toml lists is removed there.")
    .argument("<NAME>", "its name or id")
    .addHelpText("after", '\nWith --json: {"v":1,"forward":{…}}\n\nExample:\n  hatchway forward rm minecraft')
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => remove(context, name)),
    );
}

async function list(context: Context): Promise<void> {
  const { agentClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  const relayOnly = !(await isRunning("agent", paths.agentSocket)) && (await isRunning("relay", paths.relaySocket));
  const control = relayOnly ? relayClient(paths.relaySocket) : agentClient(paths.agentSocket);
  const forwards = await control.listForwards();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forwards })}\n`);
  else context.io.out(forwards.length === 0 ? `${NO_FORWARDS}\n` : `${forwardsTable(forwards)}\n`);
}

async function addForward(context: Context, ports: string, given: Readonly<Record<string, unknown>>): Promise<void> {
  const spec = await exposeSpecOf(ports, given);
  const { agentClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  const reply = await agentClient(paths.agentSocket).addForward(spec, { lasting: true });
  if (context.options.json) {
    context.io.out(`${JSON.stringify(reply)}\n`);
    return;
  }
  const { endpoints, message } = reply.forward;
  for (const { entry, exit } of endpointTexts(endpoints)) context.io.out(`${printable(`${entry} → ${exit}`)}\n`);
  if (message !== null) context.io.err(`${printable(message)}\n`);
}

async function remove(context: Context, name: string): Promise<void> {
  const { agentClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "agent");
  const forward = await agentClient(paths.agentSocket).removeForward(name);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, forward })}\n`);
  else context.io.err(`Removed ${printable(forward.name)}.\n`);
}
