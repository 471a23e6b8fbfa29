import { type CompletionTable, shortText, singleQuoted, valuesText } from "./table.ts";
import type { CommandInfo } from "./tree.ts";

/** zsh 5, with the words of the help beside each name. */
export function zshScript({ commands, valued }: CompletionTable): string {
  const listCases = (entries: readonly (readonly [string, readonly string[]])[]): string =>
    entries
      .filter(([, items]) => items.length > 0)
      .map(([key, items]) => `    (${singleQuoted(key)}) reply=(${items.map(singleQuoted).join(" ")}) ;;`)
      .join("\n");
  const optionValues = commands.flatMap(({ path, options }) =>
    options.flatMap(({ words, value }) =>
      value === null ? [] : words.map((word) => [`${path}|${word}`, items(valuesText(value.values))] as const),
    ),
  );
  const argumentValues = commands.flatMap(({ path, arguments: all }) =>
    all.map(({ values, isVariadic }, at) => [`${path}|${isVariadic ? "*" : at}`, items(valuesText(values))] as const),
  );
  return `#compdef hatchway
# Completion of hatchway for zsh. In ~/.zshrc, behind compinit: source <(hatchway completion zsh)

_hatchway_commands() {
  reply=()
  case $1 in
${listCases(commands.map((one) => [one.path, one.commands.map((child) => described(child.name, child.summary))]))}
  esac
}

_hatchway_options() {
  reply=()
  case $1 in
${listCases(commands.map((one) => [one.path, optionItems(one)]))}
  esac
}

# The options behind which a value follows.
_hatchway_takes() {
  reply=()
  case $1 in
${listCases([...valued])}
  esac
}

_hatchway_option_values() {
  reply=()
  case $1 in
${listCases(optionValues)}
  esac
}

_hatchway_argument_values() {
  reply=()
  case $1 in
${listCases(argumentValues)}
  esac
}

_hatchway_offer() {
  case $reply[1] in
    (@files) _files ;;
    (@directories) _files -/ ;;
    (@*)
      local kind=\${reply[1]#@}
      reply=(\${(f)"$(hatchway complete-names $kind 2>/dev/null)"})
      compadd -a reply
      ;;
    (*) compadd -a reply ;;
  esac
}

_hatchway() {
  local at=0 i=2 word option= only_words= command_path=
  local -a reply names
  while (( i < CURRENT )); do
    word=$words[i]
    option=
    if [[ $word == -- ]]; then
      [[ -n $only_words ]] && (( at++ ))
      only_words=1
    elif [[ $word == -* && -z $only_words ]]; then
      _hatchway_takes "$command_path"
      if (( \${reply[(Ie)$word]} )); then
        option=$word
        (( i++ ))
      fi
    else
      _hatchway_commands "$command_path"
      names=(\${reply%%:*})
      if (( \${names[(Ie)$word]} )); then
        command_path=\${command_path:+$command_path }$word
      else
        (( at++ ))
      fi
    fi
    (( i++ ))
  done
  if [[ -n $option ]] && (( i > CURRENT )); then
    _hatchway_option_values "$command_path|$option"
    _hatchway_offer
    return
  fi
  if [[ -z $only_words && $words[CURRENT] == --*=* ]]; then
    _hatchway_option_values "$command_path|\${words[CURRENT]%%=*}"
    compset -P '*='
    _hatchway_offer
    return
  fi
  if [[ -z $only_words && $words[CURRENT] == -* ]]; then
    _hatchway_options "$command_path"
    _describe -o option reply
    return
  fi
  _hatchway_commands "$command_path"
  if (( $#reply )); then
    _describe command reply
    return
  fi
  _hatchway_argument_values "$command_path|$at"
  (( $#reply )) || _hatchway_argument_values "$command_path|*"
  (( $#reply )) && _hatchway_offer
}

if [[ $funcstack[1] == _hatchway ]]; then
  _hatchway "$@"
else
  compdef _hatchway hatchway
fi
`;
}

function optionItems({ options }: CommandInfo): string[] {
  return options.flatMap(({ words, description }) => words.map((word) => described(word, description)));
}

/** As _describe wants it. */
function described(word: string, text: string): string {
  return `${word.replaceAll(":", "\\:")}:${shortText(text)}`;
}

function items(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}
