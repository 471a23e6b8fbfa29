import type { Command } from "commander";
import type { TriggerDraft, TriggerInfo } from "../roles/control.ts";
import type { Context, Run } from "./context.ts";
import { addEntryOptions, type EntryOption, entryOf, failWith } from "./entry-options.ts";
import { gatewayOf } from "./gateway-of.ts";
import { formatAge, formatTable, printable } from "./text.ts";

const TRIGGER_OPTIONS: readonly EntryOption[] = [
  { flags: "--name <NAME>", text: "a name for lists and `trigger rm`", kind: "text" },
  { flags: "--out <PORTSET>", text: "a client that sends to one of these opens the others to itself", kind: "text" },
  { flags: "--in <PORTSET>", text: "the ports that are opened, untranslated", kind: "text" },
  {
    flags: "--protocol <PROTOCOL>",
    text: "tcp, udp or tcp+udp, for ports that do not say it (default: tcp)",
    kind: "text",
  },
  {
    flags: "--timeout <DURATION>",
    text: "close them when nothing has passed for this long (default: 10m)",
    kind: "text",
  },
  {
    flags: "--first-wins",
    text: "refuse a second client while they are open (default: it takes over)",
    kind: "flag-or-text",
  },
];

export function defineTrigger(program: Command, run: Run): void {
  const group = program
    .command("trigger")
    .summary("list, add and remove port triggers")
    .description(
      "Port triggers of the gateway that runs with --data: an outgoing packet opens ports to its sender for a while.",
    );
  const add = group
    .command("add")
    .summary("add a port trigger that lasts over restarts")
    .description(
      "A client that sends to an --out port opens the --in ports to itself (IPv4, TCP and UDP) until nothing has passed for the timeout.",
    );
  addEntryOptions(add, TRIGGER_OPTIONS)
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"trigger":{…}}\n\nExample:\n  hatchway trigger add --name irc --out 6667 --in 113 --timeout 10m',
    )
    .action(async (given: Readonly<Record<string, unknown>>, command: Command) =>
      run(command, (context) => addTrigger(context, given)),
    );
  group
    .command("ls")
    .summary("list the port triggers")
    .description("Lists the port triggers: armed, or open to whom until when.")
    .addHelpText("after", '\nWith --json: {"v":1,"triggers":[…]}\n\nExample:\n  hatchway trigger ls')
    .action(async (_given: unknown, command: Command) => run(command, list));
  group
    .command("rm")
    .summary("remove a port trigger that `trigger add` made")
    .description("Removes a port trigger and closes what it opened. What hatchway.toml lists is removed there.")
    .argument("<NAME>", "its name")
    .addHelpText("after", '\nWith --json: {"v":1,"trigger":{…}}\n\nExample:\n  hatchway trigger rm irc')
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => remove(context, name)),
    );
}

async function addTrigger(context: Context, given: Readonly<Record<string, unknown>>): Promise<void> {
  const draft = await draftOf(given);
  const trigger = await (await gatewayOf(context)).addTrigger(draft);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, trigger })}\n`);
  else context.io.out(`${printable(trigger.name)}: ${trigger.out} opens ${trigger.in}\n`);
}

async function draftOf(given: Readonly<Record<string, unknown>>): Promise<TriggerDraft> {
  const { TriggerEntry } = await import("../roles/config/gateway-schema.ts");
  const { triggerRule } = await import("../roles/config/gateway.ts");
  const { problemsOf, renderProblem } = await import("../roles/config/problem.ts");
  const entry = entryOf(given, TRIGGER_OPTIONS);
  const parsed = TriggerEntry.safeParse(entry);
  if (!parsed.success) {
    failWith(
      problemsOf(parsed.error.issues, entry, () => Object.keys(TriggerEntry.shape)),
      {},
      renderProblem,
    );
  }
  const rule = triggerRule(parsed.data);
  return rule.ok ? rule.value : failWith([rule.error], {}, renderProblem);
}

async function list(context: Context): Promise<void> {
  const triggers = await (await gatewayOf(context)).listTriggers();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, triggers })}\n`);
  else if (triggers.length === 0) context.io.out("No port triggers: add one with `hatchway trigger add`.\n");
  else {
    const { nowMs } = await import("../os/clock.ts");
    context.io.out(`${triggersTable(triggers, nowMs())}\n`);
  }
}

function triggersTable(triggers: readonly TriggerInfo[], nowMs: number): string {
  const rows = triggers.map((trigger) => [
    trigger.name,
    trigger.out,
    trigger.in,
    trigger.state === "open"
      ? `open to ${trigger.host} for ${formatAge((trigger.closesMs ?? nowMs) - nowMs)}`
      : "armed",
    trigger.secondHost === "refused" ? "refused" : "takes over",
  ]);
  return formatTable(["NAME", "OUT", "IN", "STATE", "SECOND CLIENT"], rows);
}

async function remove(context: Context, name: string): Promise<void> {
  const trigger = await (await gatewayOf(context)).removeTrigger(name);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, trigger })}\n`);
  else context.io.err(`Removed ${printable(trigger.name)}.\n`);
}
