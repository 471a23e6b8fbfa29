import { Argument, type Command, Option } from "commander";
import { type AccessRole, ROLES } from "../core/access/rights.ts";
import type { PersonChange, PersonInfo } from "../roles/control.ts";
import type { Context, Run } from "./context.ts";
import { parsedOption } from "./parse.ts";
import { peopleOf } from "./relay-of.ts";
import { formatAge, formatTable, printable } from "./text.ts";

interface InviteOptions {
  readonly role: AccessRole;
  readonly account?: string;
  readonly lifetime: string;
}

export function defineUser(program: Command, run: Run): void {
  const group = program
    .command("user")
    .summary("list, invite, change and remove the console's people")
    .description(
      "The people who may sign in to the console of the relay or gateway that runs with --data, or of the relay that --remote names.",
    );
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
  group
    .command("role")
    .summary("change what a person may do")
    .description("Changes a person's role. Their sessions and tokens have it from then on.")
    .argument("<NAME>", "whose role")
    .addArgument(new Argument("<ROLE>", "the new one").choices(ROLES))
    .addHelpText("after", `${PERSON_JSON}\n\nExample:\n  hatchway user role bob viewer`)
    .action(async (name: string, role: AccessRole, _given: unknown, command: Command) =>
      run(command, (context) => change(context, { name, role }, `${name} is ${role} now.`)),
    );
  group
    .command("disable")
    .summary("shut a person out")
    .description(
      "Signs a person out everywhere. Their password, passkeys and tokens open nothing until `hatchway user enable`; their forwards stay open.",
    )
    .argument("<NAME>", "who")
    .addHelpText("after", `${PERSON_JSON}\n\nExample:\n  hatchway user disable bob`)
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => change(context, { name, disabled: true }, `${name} is shut out.`)),
    );
  group
    .command("enable")
    .summary("let a person in again")
    .description("Lets a person who was disabled sign in again; their tokens are good again, too.")
    .argument("<NAME>", "who")
    .addHelpText("after", `${PERSON_JSON}\n\nExample:\n  hatchway user enable bob`)
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => change(context, { name, disabled: false }, `${name} may sign in again.`)),
    );
  group
    .command("rm")
    .summary("remove a person, with what only their account has")
    .description(
      "Removes a person. When nobody else is in their account, it goes as well, with its devices, forwards and join codes.",
    )
    .argument("<NAME>", "who")
    .addHelpText("after", `${PERSON_JSON}\n\nExample:\n  hatchway user rm bob`)
    .action(async (name: string, _given: unknown, command: Command) =>
      run(command, (context) => remove(context, name)),
    );
}

const PERSON_JSON = '\nWith --json: {"v":1,"person":{…}}';

async function list(context: Context): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const people = await (await peopleOf(context)).listPeople();
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
  tell(context, await (await peopleOf(context)).invitePerson(request));
}

async function reset(context: Context, name: string, lifetime: string): Promise<void> {
  const lifetimeSec = await secondsOf(lifetime);
  tell(context, await (await peopleOf(context)).resetPerson({ name, lifetimeSec }));
}

async function change(context: Context, wanted: PersonChange, sentence: string): Promise<void> {
  tellPerson(context, await (await peopleOf(context)).changePerson(wanted), sentence);
}

async function remove(context: Context, name: string): Promise<void> {
  tellPerson(context, await (await peopleOf(context)).removePerson(name), `Removed ${name}.`);
}

function tellPerson({ io, options }: Context, person: PersonInfo, sentence: string): void {
  if (options.json) io.out(`${JSON.stringify({ v: 1, person })}\n`);
  else io.err(`${printable(sentence)}\n`);
}

function tell(context: Context, link: string): void {
  context.io.out(context.options.json ? `${JSON.stringify({ v: 1, link })}\n` : `${link}\n`);
}

async function secondsOf(lifetime: string): Promise<number> {
  const { parseDuration } = await import("../roles/config/units.ts");
  return parsedOption("--lifetime", lifetime, parseDuration);
}
