import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { type AccessScope, SCOPES } from "../core/access/rights.ts";
import type { TokenInfo, TokenReply } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Context, Run } from "./context.ts";
import { parsedOption } from "./parse.ts";
import { relayOf } from "./relay-of.ts";
import { formatAge, formatTable, printable } from "./text.ts";

interface WhoseOptions {
  readonly user?: string;
}

interface CreateOptions extends WhoseOptions {
  readonly name: string;
  readonly scope: AccessScope;
  readonly lifetime: string;
  readonly out?: string;
}

const FOR_EVER = "permanent";
const USER_TEXT = "whose tokens: on the relay's machine it must be said, by --remote they are your own";

export function defineToken(program: Command, run: Run): void {
  const group = program
    .command("token")
    .summary("list, make and remove API tokens")
    .description(
      "What programs show to the relay's API, and commands to --remote. A token may do what its scope and its person's role both allow.",
    );
  group
    .command("ls")
    .summary("list a person's tokens")
    .description("Lists a person's tokens, without their secrets.")
    .option("--user <NAME>", USER_TEXT)
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"tokens":[…]}\n\nExamples:\n  hatchway token ls --user ada\n  hatchway token ls --remote https://relay.example:7780 --token-file token.txt',
    )
    .action(async (given: WhoseOptions, command: Command) =>
      run(command, (context) => list(context, given.user ?? null)),
    );
  group
    .command("create")
    .summary("make a token, and show it once")
    .description(
      "Makes a token and prints it, and nothing else, or writes it to --out. It is not shown again. A token makes no tokens: on another machine, use the console.",
    )
    .requiredOption("--name <NAME>", "a name for lists")
    .option("--user <NAME>", USER_TEXT)
    .addOption(
      new Option("--scope <SCOPE>", "read: look; forwards: and change forwards; all: and everything else")
        .choices(SCOPES)
        .default("read"),
    )
    .option("--lifetime <DURATION>", "how long it is good: 12h, 30d, permanent", "90d")
    .option("--out <FILE>", "write it to a new file that only you may read, and print nothing")
    .addHelpText(
      "after",
      `
With --json: {"v":1,"token":{…},"secret":…}; with --out as well, "secret" is null.

Examples:
  hatchway token create --user ada --name laptop --scope all --out token.txt
  hatchway token create --user ada --name backup --lifetime permanent`,
    )
    .action(async (given: CreateOptions, command: Command) => run(command, (context) => create(context, given)));
  group
    .command("rm")
    .summary("remove a token: it ends at once")
    .description("Removes a token: it opens nothing any more.")
    .argument("<TOKEN>", "its name or id")
    .option("--user <NAME>", USER_TEXT)
    .addHelpText("after", '\nWith --json: {"v":1,"token":{…}}\n\nExample:\n  hatchway token rm laptop --user ada')
    .action(async (nameOrId: string, given: WhoseOptions, command: Command) =>
      run(command, (context) => remove(context, nameOrId, given.user ?? null)),
    );
}

async function list(context: Context, person: string | null): Promise<void> {
  const { nowMs } = await import("../os/clock.ts");
  const tokens = await (await relayOf(context)).listTokens({ person });
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, tokens })}\n`);
  else if (tokens.length === 0) context.io.out("No tokens: make one with `hatchway token create`.\n");
  else context.io.out(`${tokensTable(tokens, nowMs())}\n`);
}

function tokensTable(tokens: readonly TokenInfo[], nowMs: number): string {
  const rows = tokens.map(({ name, id, scopes, expiresMs, lastUsedMs }) => [
    name,
    id,
    scopes.join(", "),
    lastUsedMs === null ? "never" : `${formatAge(nowMs - lastUsedMs)} ago`,
    endText(expiresMs, nowMs),
  ]);
  return formatTable(["NAME", "ID", "SCOPE", "USED", "ENDS"], rows);
}

function endText(expiresMs: number | null, nowMs: number): string {
  if (expiresMs === null) return "never";
  return expiresMs <= nowMs ? "over" : `in ${formatAge(expiresMs - nowMs)}`;
}

async function create(context: Context, given: CreateOptions): Promise<void> {
  const { io, options } = context;
  const { name, scope, user: person = null } = given;
  const lifetimeSec = await secondsOf(given.lifetime);
  const relay = await relayOf(context);
  // Before it is made: a secret that has no place to go is lost.
  const out = given.out === undefined ? null : await newFile(given.out);
  const made = await relay.makeToken({ person, name, scope, lifetimeSec });
  const failure = out === null ? null : await out.write(made);
  if (failure !== null) {
    await relay.removeToken({ person, nameOrId: made.token.id });
    throw failure;
  }
  const secret = out === null ? made.secret : null;
  if (options.json) io.out(`${JSON.stringify({ v: 1, token: made.token, secret })}\n`);
  else if (secret !== null) io.out(`${secret}\n`);
  else io.err(`Wrote ${printable(given.out ?? "")}.\n`);
}

async function secondsOf(lifetime: string): Promise<number | null> {
  if (lifetime === FOR_EVER) return null;
  const { parseDuration } = await import("../roles/config/units.ts");
  return parsedOption("--lifetime", lifetime, parseDuration);
}

/** Throws ControlError `usage` when something is there, which is not written over. */
async function newFile(file: string) {
  const { existsSync } = await import("node:fs");
  const { createFile } = await import("../os/files.ts");
  const path = resolve(file);
  const taken = () => new ControlError("usage", `${file} is there already: name another file by --out.`);
  if (existsSync(path)) throw taken();
  return {
    /** Resolves with why it could not be written; null = it is there. */
    async write({ secret }: TokenReply): Promise<ControlError | null> {
      const written = await createFile(path, `${secret}\n`);
      if (!written.ok) return new ControlError("failed", written.error.message, { cause: written.error.cause });
      return written.value === "created" ? null : taken();
    },
  };
}

async function remove(context: Context, nameOrId: string, person: string | null): Promise<void> {
  const token = await (await relayOf(context)).removeToken({ person, nameOrId });
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, token })}\n`);
  else context.io.err(`Removed ${printable(token.name)}.\n`);
}
