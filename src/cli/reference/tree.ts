import { type Argument, type Command, Help, type Option } from "commander";

/** A command as its help has it: what completion scripts and the man page are made of. */
export interface CommandInfo {
  /** Of the words behind the program's name; "" is the program itself. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** How it is called: `hatchway forward add [options] <PORTSET>`. */
  readonly usage: string;
  readonly arguments: readonly ArgumentInfo[];
  readonly options: readonly OptionInfo[];
  /** What the help says behind the options: JSON shapes, examples. */
  readonly after: string;
  /** As the help lists them. */
  readonly commands: readonly CommandInfo[];
  readonly group: string;
}

export interface ArgumentInfo {
  readonly name: string;
  readonly description: string;
  readonly isRequired: boolean;
  readonly isVariadic: boolean;
  readonly values: Values;
}

export interface OptionInfo {
  /** As the help has it: `-L, --local <FORWARD>`. */
  readonly flags: string;
  /** `--local`, `-L`. */
  readonly words: readonly string[];
  readonly description: string;
  /** Null: it takes none. Optional values come only behind `=`. */
  readonly value: { readonly name: string; readonly isRequired: boolean; readonly values: Values } | null;
  readonly group: string;
}

/** What may stand there: one of some words, a name that only what runs here knows, a file, or anything else. */
export type Values =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "names"; readonly of: NameKind }
  | { readonly kind: "files" }
  | { readonly kind: "directories" }
  | { readonly kind: "anything" };

/** See `hatchway complete-names`. */
export const NAME_KINDS = ["devices", "forwards", "people"] as const;
export type NameKind = (typeof NAME_KINDS)[number];

const help = new Help();

/** Every command that is shown to people, with its options in the order of the help. */
export function describeProgram(program: Command): CommandInfo {
  return describe(program, "", []);
}

/** `beside`: the names of the commands beside it, of which `help` says more. */
function describe(command: Command, path: string, beside: readonly string[]): CommandInfo {
  const shown = help.visibleCommands(command);
  const names = shown.map((child) => child.name());
  const isHelp = command.name() === "help";
  return {
    path,
    name: command.name(),
    summary: command.summary() || command.description(),
    description: command.description(),
    usage: help.commandUsage(command),
    arguments: isHelp ? [helpArgument(beside)] : command.registeredArguments.map((one) => argument(path, one)),
    options: help.visibleOptions(command).map((one) => option(path, one)),
    after: textAfter(command),
    commands: shown.map((child) => describe(child, path === "" ? child.name() : `${path} ${child.name()}`, names)),
    group: command.helpGroup() ?? "",
  };
}

/** `help COMMAND`. */
function helpArgument(beside: readonly string[]): ArgumentInfo {
  const words = beside.filter((name) => name !== "help");
  const values = { kind: "words", words } as const;
  return { name: "COMMAND", description: "the command", isRequired: false, isVariadic: false, values };
}

function argument(path: string, given: Argument): ArgumentInfo {
  return {
    name: given.name(),
    description: given.description,
    isRequired: given.required,
    isVariadic: given.variadic,
    values: valuesOf(`${path} ${given.name()}`, given.argChoices),
  };
}

function option(path: string, given: Option): OptionInfo {
  const { flags, description, long, short, required, optional } = given;
  const name = flags.match(/[<[]([^>\]]+)[>\]]/)?.[1] ?? "";
  const words = [short, long].flatMap((word) => (word === undefined || word === null ? [] : [word]));
  return {
    flags,
    words,
    description: given.defaultValue === undefined ? description : help.optionDescription(given),
    value:
      required || optional
        ? { name, isRequired: required, values: valuesOf(optionKey(path, long, name), given.argChoices) }
        : null,
    group: given.helpGroupHeading ?? "",
  };
}

const optionKey = (path: string, long: string | null | undefined, name: string): string =>
  `${path} ${long ?? ""} ${name}`;

/** By where it stands: "PATH NAME" of an argument, "PATH --OPTION NAME" of an option. */
const NAMED: readonly (readonly [RegExp, Values])[] = [
  [/ --data DIR$/, { kind: "directories" }],
  [/ (FILE|PATH|KEY)$/, { kind: "files" }],
  [/ (DIR|DIRECTORY)$/, { kind: "directories" }],
  [/ --device NAME$/, { kind: "names", of: "devices" }],
  [/^devices .*DEVICE$/, { kind: "names", of: "devices" }],
  [/^(check|ping) TARGET$/, { kind: "names", of: "forwards" }],
  [/^forward (rm|set) NAME$/, { kind: "names", of: "forwards" }],
  [/^user (role|disable|enable|rm|reset) NAME$/, { kind: "names", of: "people" }],
  [/^token .*--user NAME$/, { kind: "names", of: "people" }],
  [/ --protocol PROTOCOL$/, { kind: "words", words: ["tcp", "udp", "tcp+udp"] }],
];

function valuesOf(key: string, choices: readonly string[] | undefined): Values {
  if (choices !== undefined) return { kind: "words", words: choices };
  return NAMED.find(([pattern]) => pattern.test(key))?.[1] ?? { kind: "anything" };
}

/** What `addHelpText("after", …)` was given: what stands behind the help itself. The command writes nowhere else then. */
function textAfter(command: Command): string {
  let whole = "";
  command.configureOutput({
    writeOut: (part) => {
      whole += part;
    },
  });
  command.outputHelp();
  return whole.slice(command.helpInformation().length).trim();
}

/** A command and all below it. */
export function allCommands(command: CommandInfo): CommandInfo[] {
  return [command, ...command.commands.flatMap(allCommands)];
}
