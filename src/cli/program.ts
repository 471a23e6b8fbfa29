import { Command, CommanderError, Help, Option } from "commander";
import { messageOf } from "../os/errors.ts";
import { VERSION } from "../os/version.ts";
import { ControlError, EXIT_CODES } from "../servers/local/error.ts";
import { commandGroupsFor, REMOTE_COMMANDS } from "./commands.ts";
import type { GlobalOptions, Io, Run } from "./context.ts";

const EXAMPLES = `
Exit codes: 0 done · 1 failed · 2 wrong usage or config · 3 refused by policy or credentials · 4 not reachable · 5 warnings (doctor), a newer version (upgrade)

Examples:
  hatchway serve --public relay.example.net       on the public machine
  hatchway join-code create --name den            there too: prints a code
  hatchway agent --join -                         behind NAT: paste the code, Enter, Ctrl-D
  hatchway expose 25565                           there too: make a port public until Ctrl-C
  hatchway connect -L 5432:db:5432 --via agent:den
                                                  reach a private service without a public port
  hatchway doctor                                 what is wrong here, and how to mend it
  hatchway --remote https://relay.example:7780 --token-file token.txt forward ls
                                                  what a relay elsewhere forwards`;

/** Runs the command of `args` (without the program's own name) and resolves with its exit code. Never rejects. */
export async function runProgram(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT_CODES.ok;
  const run: Run = async (command, action) => {
    const options = globalOptionsOf(command);
    const { world, failing } = options.logFormat === "json" ? await inJson(io) : { world: io, failing: io };
    try {
      refuseRemote(command, options);
      await world.startLog(options.verbose ? "debug" : "warning");
      const code = await action({ io: world, options });
      if (typeof code === "number") exitCode = code;
    } catch (error) {
      exitCode = tell(failing, error, options.verbose === true);
    }
  };
  try {
    const program = await defineProgram(io, run, args);
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) return tell(io, error, false);
    // Commander wrote its sentence already. A bare `hatchway forward` shows its help, and did nothing.
    return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  }
  return exitCode;
}

/** As it is for a command, and for whoever tells that it failed. */
interface Worlds {
  readonly world: Io;
  readonly failing: Io;
}

/** The same world with one JSON object a line on standard error: what people are told there is a line of the log, too. */
async function inJson(io: Io): Promise<Worlds> {
  const { sentenceAsJson } = await import("../os/log.ts");
  const { nowMs } = await import("../os/clock.ts");
  const telling = (levelOf: (text: string) => "info" | "warning" | "error"): Io => ({
    ...io,
    // No colours, and no line that is written over.
    isTerminal: false,
    err(text) {
      const sentence = text.trim().replace(NAME_PREFIX, "");
      if (sentence !== "") io.err(`${sentenceAsJson(sentence, levelOf(text), nowMs())}\n`);
    },
    startLog: (level) => io.startLog(level, "json"),
  });
  return {
    world: telling((text) => (NAME_PREFIX.test(text) ? "warning" : "info")),
    failing: telling(() => "error"),
  };
}

/** As commander calls them. */
const OWN_OPTIONS = "Options:";
const { groupItems } = new Help();

/** What sentences begin with that are no mere news. */
const NAME_PREFIX = /^hatchway: /;

async function defineProgram(io: Io, run: Run, args: readonly string[]): Promise<Command> {
  const program = new Command("hatchway");
  program
    .description("Self-hosted port forwarding: reach exactly the ports you choose, from exactly where you allow.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help, with examples")
    .helpCommand("help [COMMAND]", "show the help of a command")
    .configureHelp({ groupItems: ownOptionsFirst })
    .showSuggestionAfterError(true)
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      outputError: (text, write) => write(usageSentence(text)),
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  for (const { title, commands } of commandGroupsFor(args)) {
    const definitions = await Promise.all(commands.map((load) => load()));
    program.commandsGroup(title);
    for (const define of definitions) define(program, run);
  }
  // Else the program's own --remote would take what is said to `connect --remote`.
  if (program.commands.some(hasOwnRemote)) program.enablePositionalOptions();
  addGlobalOptions(program);
  return program;
}

/** Of a command that has no option but --help, commander would have them last. */
function ownOptionsFirst<Item extends Command | Option>(
  ...items: Parameters<typeof groupItems<Item>>
): Map<string, Item[]> {
  const groups = groupItems(...items);
  const own = groups.get(OWN_OPTIONS);
  return own === undefined ? groups : new Map([[OWN_OPTIONS, own], ...groups]);
}

/** `connect` has one, which is a list of forwards. */
function hasOwnRemote(command: Command): boolean {
  return command.options.some(({ long }) => long === "--remote");
}

function globalOptionsOf(command: Command): GlobalOptions {
  const { remote, ...options } = command.optsWithGlobals<Omit<GlobalOptions, "remote"> & { remote?: unknown }>();
  return typeof remote === "string" ? { ...options, remote } : options;
}

/** Throws ControlError `usage` for --remote where nothing is asked of a relay. */
function refuseRemote(command: Command, { remote, tokenFile, ca, fingerprint }: GlobalOptions): void {
  if (remote === undefined) {
    const alone = Object.entries({ "--token-file": tokenFile, "--ca": ca, "--fingerprint": fingerprint });
    const [option] = alone.flatMap(([name, value]) => (value === undefined ? [] : [name]));
    if (option === undefined) return;
    throw new ControlError("usage", `${option} goes with --remote: name the address of the relay's console by it.`);
  }
  const name = topName(command);
  if (REMOTE_COMMANDS.has(name)) return;
  const others = [...REMOTE_COMMANDS].join(", ");
  throw new ControlError("usage", `\`hatchway ${name}\` has to do with this machine: --remote is for ${others}.`);
}

/** Of the command that stands first. */
function topName(command: Command): string {
  const { parent } = command;
  return parent === null || parent.parent === null ? command.name() : topName(parent);
}

/** On every command, so that they may stand before or behind its name. `isShown`: those of --remote are in its help. */
function addGlobalOptions(command: Command, isShown = true): void {
  command
    .optionsGroup("Options of every command:")
    .option("--json", "results as JSON, one object a line; its shape is versioned")
    .option(
      "--data <DIR>",
      "the data directory (default: $HATCHWAY_DATA; root: /var/lib/hatchway; else ~/.local/share/hatchway)",
    )
    .option("--config <FILE>", "the config file (default: hatchway.toml in the data directory)")
    .option("--verbose", "log more, and show the cause of a failure")
    .addOption(
      new Option(
        "--log-format <FORMAT>",
        "what standard error holds: human, or json: one object a line (default: human)",
      ).choices(["human", "json"]),
    );
  for (const [flags, text] of REMOTE_OPTIONS) {
    const option = new Option(flags, text).hideHelp(!isShown);
    if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
  }
  for (const child of command.commands) {
    addGlobalOptions(child, command.parent === null ? REMOTE_COMMANDS.has(child.name()) : isShown);
  }
}

const REMOTE_OPTIONS = [
  ["--remote <URL>", "ask the relay whose console is there, such as https://relay.example:7780, in place of one here"],
  ["--token-file <FILE>", "with --remote: an API token, in a file that only you may read; - is standard input"],
  ["--ca <FILE>", "with --remote: trust the CAs in this PEM file, in place of the usual ones"],
  ["--fingerprint <SHA256>", "with --remote: trust the relay's own key, as `hatchway status` shows it there"],
] as const;

/** Commander's `error: unknown option '--prot'\n(Did you mean --ports?)` as one line in our form. */
function usageSentence(text: string): string {
  const [first = "", ...rest] = text.trim().split("\n");
  const sentence = first.replace(/^error: /, "").replace(/\.?$/, ".");
  const hint = rest.map((line) => line.replace(/^\((.*)\)$/, "$1")).join(" ");
  return `hatchway: ${[sentence, hint].filter((part) => part !== "").join(" ")}\n`;
}

function tell(io: Io, error: unknown, verbose: boolean): number {
  const known = error instanceof ControlError;
  const message = messageOf(error);
  // A config file's mistakes begin with FILE:LINE:COLUMN:, which editors read at the start of a line only.
  const prefix = /^\S+:\d+:\d+: /.test(message) ? "" : "hatchway: ";
  io.err(known ? `${prefix}${message}\n` : `hatchway: Unexpected error: ${message}\n`);
  if (verbose && error instanceof Error) {
    if (!known) io.err(`${error.stack ?? ""}\n`);
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) io.err(`  cause: ${cause.message}\n`);
  } else if (!known) {
    io.err("Run the command again with --verbose to see where.\n");
  }
  return known ? EXIT_CODES[error.kind] : EXIT_CODES.failed;
}
