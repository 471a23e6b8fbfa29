import { type Command, Option } from "commander";
import { type AccessRole, ROLES } from "../core/access/rights.ts";
import type { PeopleControl, PersonInfo } from "../roles/control.ts";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { parsedOption } from "./parse.ts";
import { formatAge, formatTable, printable } from "./text.ts";

interface InviteOptions {
  readonly role: AccessRole;
  readonly account?: string;
  readonly lifetime: string;
}

export function defineUser(program: Command, run: Run): void {
  const group = program
    .command("user")
    .summary("list and invite the console's people, reset a password")
    .description("The people who may sign in to the console of the relay or gateway that runs with --data.");
  group
    .command("ls")
    .summary("list the people")
    .description("Lists the people who may sign in.")
    .addHelpText("after", '\nWith --json: {"v":1,"people":[…]}\n\nExample:\n  hatchway user ls')
    .action(async (_given: unknown, command: Command) => run(command, list));
  group
    .command("invite")
    .summary("print a link that makes one more person")
    .description("Prints a link that is good once: whoever opens it chooses a name and a password.")
    .addOption(new Option("--role <ROLE>", "what the person may do").choices(ROLES).default("user"))
    .option("--account <ACCOUNT>", "the account they share (default: one of their own)")
    .option("--lifetime <DURATION>", "how long the link can be used: 10m, 2h, 7d", "1d")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"link":…}\n\nExamples:\n  hatchway user invite\n  hatchway user invite --role viewer --account owner',
    )
    .action(async (given: InviteOptions, command: Command) => run(command, (context) => invite(context, given)));
  group
    .command("reset")
    .summary("print a link that sets a new password")
    .description(
      "Prints a link that is good once: with it that person sets a new password. Their one-time codes go, and every browser is signed out.",
    )
    .argument("<NAME>", "whose password")
    .option("--lifetime <DURATION>", "how long the link can be used: 10m, 2h, 7d", "1h")
    .addHelpText("after", '\nWith --json: {"v":1,"link":…}\n\nExample:\n  hatchway user reset ada')
    .action(async (name: string, given: { readonly lifetime: string }, command: Command) =>
      run(command, (context) => reset(context, name, given.lifetime)),
    );
}

async function list(context: Context): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const people = await (await server(context)).listPeople();
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, people })}\n`);
  else if (people.length === 0) context.io.out("No people: open the one-time link that was printed at the start.\n");
  else context.io.out(`${peopleTable(people, nowMs())}\n`);
}

function peopleTable(people: readonly PersonInfo[], nowMs: number): string {
  const rows = people.map((person) => [
    printable(person.name),
    person.role,
    printable(person.account),
    stateOf(person, nowMs),
    provenBy(person),
  ]);
  return formatTable(["NAME", "ROLE", "ACCOUNT", "SEEN", "SIGNS IN BY"], rows);
}

function stateOf({ disabled, lastSeenMs }: PersonInfo, nowMs: number): string {
  if (disabled) return "disabled";
  return lastSeenMs === null ? "never" : `${formatAge(nowMs - lastSeenMs)} ago`;
}

function provenBy({ hasTotp, passkeys }: PersonInfo): string {
  const password = hasTotp ? "password and code" : "password";
  if (passkeys === 0) return password;
  return `${password}, ${passkeys === 1 ? "passkey" : `${passkeys} passkeys`}`;
}

async function invite(context: Context, { role, account, lifetime }: InviteOptions): Promise<void> {
  const lifetimeSec = await secondsOf(lifetime);
  const request = { role, lifetimeSec, ...(account === undefined ? {} : { account }) };
  tell(context, await (await server(context)).invitePerson(request));
}

async function reset(context: Context, name: string, lifetime: string): Promise<void> {
  const lifetimeSec = await secondsOf(lifetime);
  tell(context, await (await server(context)).resetPerson({ name, lifetimeSec }));
}

function tell(context: Context, link: string): void {
  context.io.out(context.options.json ? `${JSON.stringify({ v: 1, link })}\n` : `${link}\n`);
}

async function secondsOf(lifetime: string): Promise<number> {
  const { parseDuration } = await import("../roles/config/units.ts");
  return parsedOption("--lifetime", lifetime, parseDuration);
}

/** The relay of --data, or its gateway: the people are of both. */
async function server(context: Context): Promise<PeopleControl> {
  const { gatewayClient, isRunning, relayClient } = await import("../servers/local/client.ts");
  const { paths } = await findPlace(context, "relay");
  if (await isRunning("relay", paths.relaySocket)) return relayClient(paths.relaySocket);
  const gateway = (await findPlace(context, "gateway")).paths;
  if (await isRunning("gateway", gateway.gatewaySocket)) return gatewayClient(gateway.gatewaySocket);
  // Its own words say how one is started.
  return relayClient(paths.relaySocket);
}
