import { type CompletionTable, shortText, valuesText } from "./table.ts";

/** PowerShell 5 and 7. */
export function powershellScript({ commands, valued }: CompletionTable): string {
  const table = (entries: readonly (readonly [string, readonly string[]])[]): string =>
    entries
      .filter(([, words]) => words.length > 0)
      .map(([key, words]) => `    ${quoted(key)} = @(${words.map(quoted).join(", ")})`)
      .join("\n");
  const words = (text: string) => (text === "" ? [] : text.split(" "));
  const optionValues = commands.flatMap(({ path, options }) =>
    options.flatMap(({ words: flags, value }) =>
      value === null ? [] : flags.map((word) => [`${path}|${word}`, words(valuesText(value.values))] as const),
    ),
  );
  const argumentValues = commands.flatMap(({ path, arguments: all }) =>
    all.map(({ values, isVariadic }, at) => [`${path}|${isVariadic ? "*" : at}`, words(valuesText(values))] as const),
  );
  const texts = commands.flatMap(({ path, commands: children, options }) => [
    ...children.map(({ name, summary }) => [`${path}|${name}`, [shortText(summary)]] as const),
    ...options.flatMap((option) =>
      option.words.map((word) => [`${path}|${word}`, [shortText(option.description)]] as const),
    ),
  ]);
  return `# Completion of hatchway for PowerShell. In $PROFILE: hatchway completion powershell | Out-String | Invoke-Expression

$HatchwayTable = New-Object System.Collections.Hashtable
$HatchwayTable['commands'] = @{
${table(commands.map((one) => [one.path, one.commands.map(({ name }) => name)]))}
}
$HatchwayTable['options'] = @{
${table(commands.map((one) => [one.path, one.options.flatMap((option) => option.words.filter((word) => word.startsWith("--")))]))}
}
$HatchwayTable['takes'] = @{
${table([...valued])}
}
$HatchwayTable['optionValues'] = @{
${table(optionValues.filter(([key]) => key.includes("|--")))}
}
$HatchwayTable['argumentValues'] = @{
${table(argumentValues)}
}
$HatchwayTable['texts'] = @{
${table(texts.filter(([key]) => !/\|-[^-]/.test(key)))}
}

Register-ArgumentCompleter -Native -CommandName hatchway -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $path = ''
  $at = 0
  $option = ''
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  foreach ($word in $words) {
    if ($option -ne '') {
      $option = ''
    } elseif ($word.StartsWith('-')) {
      if (@($HatchwayTable['takes'][$path]) -ccontains $word) { $option = $word }
    } elseif (@($HatchwayTable['commands'][$path]) -ccontains $word) {
      $path = "$path $word".Trim()
    } else {
      $at++
    }
  }
  if ($option -ne '') {
    $found = $HatchwayTable['optionValues']["$path|$option"]
  } elseif ($wordToComplete.StartsWith('-')) {
    $found = $HatchwayTable['options'][$path]
  } else {
    $found = $HatchwayTable['commands'][$path]
    if (-not $found) { $found = $HatchwayTable['argumentValues']["$path|$at"] }
    if (-not $found) { $found = $HatchwayTable['argumentValues']["$path|*"] }
  }
  # Files and folders: what PowerShell offers by itself.
  if (-not $found -or $found[0] -eq '@files' -or $found[0] -eq '@directories') { return }
  if ($found[0].StartsWith('@')) { $found = @(hatchway complete-names $found[0].Substring(1) 2>$null) }
  foreach ($one in $found) {
    if (-not $one.StartsWith($wordToComplete)) { continue }
    $text = $HatchwayTable['texts']["$path|$one"]
    $tip = if ($text) { $text[0] } else { $one }
    [System.Management.Automation.CompletionResult]::new($one, $one, 'ParameterValue', $tip)
  }
}
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
