import { allCommands, type CommandInfo, type OptionInfo } from "./tree.ts";

const COMMON_GROUP = "Options of every command:";
/** Of the text behind a command's options: what stands below this is shown as it is written. */
const EXAMPLES = /^Examples?:$/;

/** As mandoc(1) -T lint wants it. */
const SOURCE_COLUMNS = 80;

const FILES = [
  [
    "/var/lib/hatchway",
    "The data directory of root, and of what runs as a service; everybody else has ~/.local/share/hatchway. Keys, the database and the sockets that commands talk to are in it.",
  ],
  ["hatchway.toml", "The config file, in the data directory; `hatchway config schema` prints what may be in it."],
  ["/etc/hatchway/hatchway.toml", "The config file that `hatchway service install` looks for."],
] as const;

const ENVIRONMENT = [
  ["HATCHWAY_DATA", "The data directory, when --data does not name it."],
  ["HATCHWAY_JOIN", "The join code for `hatchway agent`, which other users cannot read here as they can an argument."],
  ["XDG_DATA_HOME", "Where an ordinary user's data directory is, in place of ~/.local/share."],
  ["NO_COLOR", "When it is set, no colours."],
  ["NOTIFY_SOCKET", "Set by systemd, which is told there when the program is ready, reads its config again, or stops."],
] as const;

const EXIT_STATUS = [
  ["0", "Done."],
  ["1", "Failed."],
  ["2", "Wrong usage or config."],
  ["3", "Refused by policy or credentials."],
  ["4", "Not reachable."],
  ["5", "Of `doctor`: warnings, and no failure."],
] as const;

/** hatchway(1), in the man macros of roff, which every Unix reads. No date: the same program gives the same page. */
export function manPage(program: CommandInfo, version: string): string {
  const common = program.options.filter(({ group }) => group === COMMON_GROUP);
  const own = program.options.filter(({ group }) => group !== COMMON_GROUP);
  const isCommon = (option: OptionInfo): boolean => common.some(({ flags }) => flags === option.flags);
  const examples = splitAfter(program.after).examples;
  return `${[
    `.TH HATCHWAY 1 "" "Hatchway ${escaped(version)}" "User Commands"`,
    // Left-aligned, without hyphens: options and addresses stay whole.
    ".ad l",
    ".nh",
    ".SH NAME",
    "hatchway \\- self\\-hosted port forwarding",
    ".SH SYNOPSIS",
    ".B hatchway",
    ".I COMMAND",
    "[options]",
    ".SH DESCRIPTION",
    text(program.description),
    ".SH COMMANDS",
    ...groupsOf(program).slice(1),
    ".SH OPTIONS OF EVERY COMMAND",
    ...[...common, ...own].flatMap(optionLines),
    ...allCommands(program)
      .filter((command) => command.path !== "" && command.path !== "help")
      .flatMap((command) => commandLines(command, isCommon)),
    ".SH EXIT STATUS",
    ...EXIT_STATUS.flatMap(([code, what]) => entry(bold(code), what)),
    ".SH FILES",
    ...FILES.flatMap(([name, what]) => entry(italic(name), what)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, what]) => entry(bold(name), what)),
    ".SH EXAMPLES",
    ...literal(examples).slice(1),
  ].join("\n")}\n`;
}

function groupsOf({ commands }: CommandInfo): string[] {
  let group = "";
  return commands
    .filter(({ path }) => path !== "help")
    .flatMap((command) => {
      const lines = entry(bold(command.name), command.summary);
      if (command.group === group) return lines;
      group = command.group;
      return [".PP", text(group), ...lines];
    });
}

function commandLines(command: CommandInfo, isCommon: (option: OptionInfo) => boolean): string[] {
  const { prose, examples } = splitAfter(command.after);
  return [
    `.SH ${escaped(`hatchway ${command.path}`.toUpperCase())}`,
    command.usage.split(/\n\s*/).map(bold).join("\n.br\n"),
    ".PP",
    text(command.description),
    ...(command.commands.length === 0
      ? []
      : [".PP", text(`Its commands: ${command.commands.map(({ name }) => name).join(", ")}.`)]),
    ...command.arguments.flatMap(({ name, description, isRequired, isVariadic }) => {
      const shown = `${name}${isVariadic ? "..." : ""}`;
      return entry(italic(isRequired ? shown : `[${shown}]`), description);
    }),
    ...command.options.filter((option) => !isCommon(option)).flatMap(optionLines),
    ...literal(prose),
    ...(examples.length === 0 ? [] : [".PP", examples.length === 1 ? "Example:" : "Examples:", ...literal(examples)]),
  ];
}

function optionLines({ flags, description }: OptionInfo): string[] {
  return entry(bold(flags), description);
}

function entry(head: string, what: string): string[] {
  return [".TP", head, text(what)];
}

/** The lines before the examples, and those of the examples. */
function splitAfter(after: string): { readonly prose: readonly string[]; readonly examples: readonly string[] } {
  const lines = after.split("\n");
  const at = lines.findIndex((line) => EXAMPLES.test(line));
  const trimmed = (part: readonly string[]) =>
    part
      .join("\n")
      .trimEnd()
      .split("\n")
      .filter((_, i, all) => all.join("") !== "" || i > 0);
  if (at < 0) return { prose: trimmed(lines), examples: [] };
  return { prose: trimmed(lines.slice(0, at)), examples: trimmed(lines.slice(at + 1)) };
}

/** As it is written, line by line: JSON shapes and commands must not be filled up to a paragraph. */
function literal(lines: readonly string[]): string[] {
  if (lines.every((line) => line.trim() === "")) return [];
  return [".PP", ".nf", ...lines.map((line) => (line.trim() === "" ? ".sp" : notRequest(escaped(line)))), ".fi"];
}

function bold(what: string): string {
  return `\\fB${escaped(what)}\\fR`;
}

function italic(what: string): string {
  return `\\fI${escaped(what)}\\fR`;
}

/** A paragraph, whose lines roff fills again: broken so that the source can be read. */
function text(what: string): string {
  const lines: string[] = [];
  for (const word of escaped(what)
    .split(/\s+/)
    .filter((part) => part !== "")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > SOURCE_COLUMNS) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map(notRequest).join("\n");
}

/** A line that begins with a dot or an apostrophe would be a request. */
function notRequest(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

const CHARACTERS: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "`": "\\(ga",
  "'": "\\(aq",
  '"': "\\(dq",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Hyphens that are copied must be minus signs; what is not ASCII is named by its number (groff_char(7)). */
function escaped(what: string): string {
  return what
    .replace(/[\\\-`'"^~]/g, (character) => CHARACTERS[character] ?? "")
    .replace(/[^\n -~]/gu, (character) => `\\[u${hex(character)}]`);
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}
