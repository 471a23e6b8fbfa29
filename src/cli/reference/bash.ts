import { type CompletionTable, singleQuoted, valuesText } from "./table.ts";

/** Bash alone, 3.2 (macOS) or newer: bash-completion is not needed. */
export function bashScript({ commands, valued }: CompletionTable): string {
  const table = (entries: readonly (readonly [string, string])[]): string =>
    entries
      .filter(([, text]) => text !== "")
      .map(([key, text]) => `    ${singleQuoted(key)}) echo ${singleQuoted(text)} ;;`)
      .join("\n");
  const names = commands.map((one) => [one.path, one.commands.map(({ name }) => name).join(" ")] as const);
  const options = commands.map((one) => [one.path, one.options.flatMap(({ words }) => words).join(" ")] as const);
  const takes = [...valued].map(([path, words]) => [path, words.join(" ")] as const);
  const optionValues = commands.flatMap(({ path, options: all }) =>
    all.flatMap(({ words, value }) =>
      value === null ? [] : words.map((word) => [`${path}|${word}`, valuesText(value.values)] as const),
    ),
  );
  const argumentValues = commands.flatMap(({ path, arguments: all }) =>
    all.map(({ values, isVariadic }, at) => [`${path}|${isVariadic ? "*" : at}`, valuesText(values)] as const),
  );
  return `# Completion of hatchway for bash. In ~/.bashrc: source <(hatchway completion bash)

_hatchway_commands() {
  case $1 in
${table(names)}
  esac
}

_hatchway_options() {
  case $1 in
${table(options)}
  esac
}

# The options behind which a value follows.
_hatchway_takes() {
  case $1 in
${table(takes)}
  esac
}

_hatchway_option_values() {
  case $1 in
${table(optionValues)}
  esac
}

_hatchway_argument_values() {
  case $1 in
${table(argumentValues)}
  esac
}

_hatchway_offer() {
  case $1 in
    @files) COMPREPLY=($(compgen -f -- "$2")); compopt -o filenames 2>/dev/null ;;
    @directories) COMPREPLY=($(compgen -d -- "$2")); compopt -o filenames 2>/dev/null ;;
    @*) COMPREPLY=($(compgen -W "$(hatchway complete-names "\${1#@}" 2>/dev/null)" -- "$2")) ;;
    *) COMPREPLY=($(compgen -W "$1" -- "$2")) ;;
  esac
}

_hatchway() {
  local current=\${COMP_WORDS[COMP_CWORD]} path= at=0 i=1 word option= only_words= values
  local IFS=$' \\t\\n'
  COMPREPLY=()
  while [ "$i" -lt "$COMP_CWORD" ]; do
    word=\${COMP_WORDS[i]}
    option=
    case $word in
      --) [ -n "$only_words" ] && at=$((at + 1)); only_words=1 ;;
      =) ;;
      -*)
        if [ -z "$only_words" ]; then
          case " $(_hatchway_takes "$path") " in *" $word "*) option=$word ;; esac
          # --data = DIR are three words to bash.
          if [ "\${COMP_WORDS[i + 1]}" = = ] && [ "$((i + 1))" -lt "$COMP_CWORD" ]; then
            option=$word
            i=$((i + 1))
          fi
          [ -n "$option" ] && i=$((i + 1))
        fi
        ;;
      *)
        case " $(_hatchway_commands "$path") " in
          *" $word "*) path=\${path:+$path }$word ;;
          *) at=$((at + 1)) ;;
        esac
        ;;
    esac
    i=$((i + 1))
  done
  [ "$current" = = ] && current=
  if [ -n "$option" ] && [ "$i" -gt "$COMP_CWORD" ]; then
    _hatchway_offer "$(_hatchway_option_values "$path|$option")" "$current"
    return
  fi
  if [ -z "$only_words" ] && [[ $current = -* ]]; then
    _hatchway_offer "$(_hatchway_options "$path")" "$current"
    return
  fi
  values=$(_hatchway_commands "$path")
  [ -z "$values" ] && values=$(_hatchway_argument_values "$path|$at")
  [ -z "$values" ] && values=$(_hatchway_argument_values "$path|*")
  _hatchway_offer "$values" "$current"
}

complete -F _hatchway hatchway
`;
}
