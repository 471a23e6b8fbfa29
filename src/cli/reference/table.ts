import { allCommands, type CommandInfo, type OptionInfo, type Values } from "./tree.ts";

/** What every completion script looks things up in; the same for each shell. */
export interface CompletionTable {
  readonly commands: readonly CommandInfo[];
  /** The options that take a value from the next word, anywhere: a word behind one is no command. */
  readonly valued: ReadonlyMap<string, readonly string[]>;
}

export function completionTable(program: CommandInfo): CompletionTable {
  const commands = allCommands(program);
  const valued = new Map(commands.map((command) => [command.path, valuedWords(command.options)]));
  return { commands, valued };
}

function valuedWords(options: readonly OptionInfo[]): string[] {
  return options.flatMap(({ words, value }) => (value?.isRequired === true ? words : []));
}

/** As the scripts name them: words with blanks between, or one word that begins with @. */
export function valuesText(values: Values): string {
  switch (values.kind) {
    case "words":
      return values.words.join(" ");
    case "names":
      return `@${values.of}`;
    case "files":
      return "@files";
    case "directories":
      return "@directories";
    case "anything":
      return "";
    default:
      return values satisfies never;
  }
}

const SHORT_CHARS = 70;

/** For a list beside the words: one line, short. */
export function shortText(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  if (line.length <= SHORT_CHARS) return line;
  return `${line.slice(0, SHORT_CHARS - 1).replace(/\s+\S*$/, "")}…`;
}

/** Between single quotes in a POSIX shell, or between those of fish, which knows a backslash there. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
