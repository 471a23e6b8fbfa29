import type { Command } from "commander";
import { parsePortSet } from "../wire/port-set.ts";
import type { Context, Run } from "./context.ts";
import { parsedOption } from "./parse.ts";
import { relayOf } from "./relay-of.ts";

interface CreateOptions {
  readonly name: string;
  readonly ports?: string;
  readonly account?: string;
  readonly lifetime: string;
}

export function defineJoinCode(program: Command, run: Run): void {
  const group = program
    .command("join-code")
    .summary("make codes that let agents join")
    .description("Join codes: each lets one agent join the relay that runs with --data.");
  group
    .command("create")
    .summary("print a new join code, and nothing else")
    .description(
      "Asks the relay that runs with --data, or the one that --remote names, for a join code and prints it, and nothing else. A code enrols one device, once; a new code for the same name ends the one before.",
    )
    .requiredOption("--name <NAME>", "the name the device gets")
    .option("--ports <PORTSET>", "the public ports the device may open (default: the relay's whole pool)")
    .option("--account <ACCOUNT>", "the account that owns the device (default: the first; by --remote one's own)")
    .option("--lifetime <DURATION>", "how long the code can be used: 90s, 10m, 2h", "1h")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"code":…}

Examples:
  hatchway join-code create --name den
  hatchway join-code create --name nas --ports 8840,8810-8815 | ssh nas hatchway agent --join -`,
    )
    .action(async (given: CreateOptions, command: Command) => run(command, (context) => create(context, given)));
}

async function create(context: Context, given: CreateOptions): Promise<void> {
  const { parseDuration } = await import("../roles/config/units.ts");
  const lifetimeSec = parsedOption("--lifetime", given.lifetime, parseDuration);
  if (given.ports !== undefined) parsedOption("--ports", given.ports, parsePortSet);
  const relay = await relayOf(context);
  const code = await relay.createJoinCode({
    name: given.name,
    lifetimeSec,
    ...(given.ports === undefined ? {} : { ports: given.ports }),
    ...(given.account === undefined ? {} : { account: given.account }),
  });
  context.io.out(context.options.json ? `${JSON.stringify({ v: 1, code })}\n` : `${code}\n`);
}
