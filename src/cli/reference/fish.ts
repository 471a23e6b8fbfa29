import { type CompletionTable, shortText, valuesText } from "./table.ts";
import type { OptionInfo, Values } from "./tree.ts";

/** fish 3. */
export function fishScript({ commands, valued }: CompletionTable): string {
  const lines = commands.flatMap(({ path, commands: children, options, arguments: all }) => {
    const here = `-n ${quoted(`__hatchway_at ${quoted(path)}`)}`;
    return [
      ...children.map(
        (child) => `complete -c hatchway ${here} -a ${child.name} -d ${quoted(shortText(child.summary))}`,
      ),
      ...options.map(
        (one) => `complete -c hatchway ${here} ${optionFlags(one)} -d ${quoted(shortText(one.description))}`,
      ),
      ...all.flatMap(({ values, isVariadic }, at) => {
        const offered = valueFlags(values);
        const there = isVariadic ? here : `-n ${quoted(`__hatchway_at ${quoted(path)} ${at}`)}`;
        return offered === "" ? [] : [`complete -c hatchway ${there} ${offered}`];
      }),
    ];
  });
  const names = commands.map((one) => [one.path, one.commands.map(({ name }) => name)] as const);
  const cases = (entries: readonly (readonly [string, readonly string[]])[]): string =>
    entries
      .filter(([, words]) => words.length > 0)
      .map(([path, words]) => `        case ${quoted(path)}\n            printf '%s\\n' ${words.join(" ")}`)
      .join("\n");
  return `# Completion of hatchway for fish: hatchway completion fish > ~/.config/fish/completions/hatchway.fish

function __hatchway_commands
    switch "$argv[1]"
${cases(names)}
    end
end

# The options behind which a value follows.
function __hatchway_takes
    switch "$argv[1]"
${cases([...valued])}
    end
end

# Whether the words before the cursor are of this command, and so many arguments of it.
function __hatchway_at
    set -l path
    set -l at 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case '-*'
                contains -- $word (__hatchway_takes "$path"); and set skip 1
            case '*'
                if contains -- $word (__hatchway_commands "$path")
                    set path (string join ' ' $path $word)
                else
                    set at (math $at + 1)
                end
        end
    end
    test "$path" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    test $at = $argv[2]
end

complete -c hatchway -f
${lines.join("\n")}
`;
}

function optionFlags({ words, value }: OptionInfo): string {
  const flags = words.map((word) => (word.startsWith("--") ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`));
  if (value === null) return flags.join(" ");
  const offered = valueFlags(value.values);
  // -x: a value, and no file.
  const kind = value.values.kind === "files" ? "-r" : "-x";
  return [...flags, ...(value.isRequired ? [kind] : []), ...(offered === "" ? [] : [offered])].join(" ");
}

function valueFlags(values: Values): string {
  switch (values.kind) {
    case "words":
      return `-a ${quoted(valuesText(values))}`;
    case "names":
      return `-a ${quoted(`(hatchway complete-names ${values.of} 2>/dev/null)`)}`;
    case "files":
      return "-F";
    case "directories":
      return `-a ${quoted("(__fish_complete_directories)")}`;
    case "anything":
      return "";
    default:
      return values satisfies never;
  }
}

/** Within single quotes fish knows \\ and \'. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
