import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outcome } from "../fixtures/fake-world.ts";

/** The completion scripts in the shells themselves. */
const directory = mkdtempSync(join(tmpdir(), "hatchway-completion-"));
const scripts = { bash: "", zsh: "", fish: "", powershell: "" };
type Shell = "bash" | "zsh" | "fish";

beforeAll(async () => {
  for (const shell of Object.keys(scripts) as (keyof typeof scripts)[]) {
    const { code, out, err } = await outcome(["completion", shell]);
    expect({ shell, code, err }).toEqual({ shell, code: 0, err: "" });
    scripts[shell] = join(directory, `completion.${shell}`);
    writeFileSync(scripts[shell], out);
  }
  // What runs here is asked for names; the scripts find it by the PATH.
  writeFileSync(join(directory, "hatchway"), '#!/bin/sh\n[ "$1" = complete-names ] && echo "$2-den"\n');
  chmodSync(join(directory, "hatchway"), 0o755);
  writeFileSync(join(directory, "notes.toml"), "");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A shell, what it does first, and how what it offers for a line is printed, one a line. */
interface Ask {
  readonly argv: readonly string[];
  readonly prelude: () => string;
  readonly ask: (line: readonly string[]) => string;
}
const ASK: Readonly<Record<Shell, Ask>> = {
  bash: {
    argv: ["bash", "--norc", "-c"],
    prelude: () => `source ${scripts.bash}
[[ $(complete -p hatchway) == "complete -F _hatchway hatchway" ]] || exit 9`,
    // Bash gives `=` as a word of its own.
    ask: (line) => `COMP_WORDS=(${line
      .flatMap((word) => word.split(/(=)/))
      .map(quoted)
      .join(" ")})
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _hatchway; printf '%s\\n' "\${COMPREPLY[@]}"`,
  },
  zsh: {
    argv: ["zsh", "-f", "-c"],
    // Outside of a line editor, so what zsh would show is printed.
    prelude: () => `autoload -Uz compinit && compinit -u -D && source ${scripts.zsh}
[[ $_comps[hatchway] == _hatchway ]] || exit 9
compadd() { print -rl -- "\${(@P)2}" }
_describe() { [[ $1 == -o ]] && shift; print -rl -- "\${(@)\${(@P)2}%%:*}" }
_files() { [[ $1 == -/ ]] && print -rl -- *(/N) || print -rl -- *(N) }
compset() { true }`,
    ask: (line) => `words=(${line.map(quoted).join(" ")}); CURRENT=$#words; _hatchway`,
  },
  fish: {
    argv: ["fish", "--no-config", "-c"],
    prelude: () => `source ${scripts.fish}`,
    ask: (line) => `complete -C ${quoted(line.join(" "))} | string replace -r '\\t.*' ''`,
  },
};

function quoted(word: string): string {
  return `'${word}'`;
}

const NEXT = "-- next --";

/** What is offered for each of the lines, by one start of the shell. */
function offered(shell: Shell, lines: readonly string[]): string[][] {
  const { argv, prelude, ask } = ASK[shell];
  const [program = "", ...args] = argv;
  const asked = lines.map((line) => `${ask(["hatchway", ...line.split(" ")])}\necho '${NEXT}'`);
  const env = { PATH: `${directory}:${process.env["PATH"]}`, HOME: directory, TERM: "dumb" };
  const script = [prelude(), ...asked, "exit 0"].join("\n");
  const ran = spawnSync(program, [...args, script], { cwd: directory, encoding: "utf8", timeout: 30_000, env });
  const { error, stderr: err, status: code } = ran;
  expect({ error, err, code }).toEqual({ error: undefined, err: "", code: 0 });
  return ran.stdout.split(`${NEXT}\n`).map((part, at) => {
    // zsh leaves it to its line editor to filter, and fish repeats the option before "=".
    const typed =
      lines[at]
        ?.split(" ")
        .at(-1)
        ?.replace(/^--[a-z-]+=/, "") ?? "";
    const words = part.split("\n").map((word) => word.replace(/^--[a-z-]+=/, "").replace(/\/$/, ""));
    return words.filter((word) => word !== "" && word.startsWith(typed)).toSorted();
  });
}

const LINES: readonly (readonly [string, string, readonly string[]])[] = [
  ["a command", "ser", ["serve", "service"]],
  ["a command of a command", "service ", ["help", "install", "status", "uninstall"]],
  ["words of an argument", "service install ", ["agent", "gateway", "relay"]],
  ["an option", "service install --man", ["--manager"]],
  ["an option of every command", "forward add --js", ["--json"]],
  ["an option's values", "service install --manager ", ["launchd", "systemd", "windows"]],
  ["the same behind =", "service install --manager=l", ["launchd"]],
  ["a second argument", "user role ann ", ["admin", "user", "viewer"]],
  ["a command behind an option with a value", "--data serve doc", ["doctor"]],
  ["a command behind a switch", "--json doc", ["doctor"]],
  ["commands that help is about", "help jo", ["join-code"]],
  ["files", "config validate no", ["notes.toml"]],
  ["names of what runs here", "forward rm ", ["forwards-den"]],
  ["names of what is to be changed", "forward set ", ["forwards-den"]],
  ["names of what is to be checked", "check ", ["forwards-den"]],
  ["names behind an option", "forward add 80 --device ", ["devices-den"]],
  ["shells", "completion ", ["bash", "fish", "powershell", "zsh"]],
];

describe.each(["bash", "zsh", "fish"] as const)("%s completes", (shell) => {
  let found: string[][];
  beforeAll(() => {
    found = offered(
      shell,
      LINES.map(([, line]) => line),
    );
  }, 40_000);
  test.each(LINES.map(([what, line, expected], at) => [what, line, expected, at] as const))(
    "%s: %s",
    (_what, _line, expected, at) => {
      expect(found[at]).toEqual([...expected]);
    },
  );
});

test("every command and option is in each script", async () => {
  for (const shell of Object.keys(scripts) as (keyof typeof scripts)[]) {
    const text = await Bun.file(scripts[shell]).text();
    for (const word of ["join-code", "privileged-helper", "complete-names"]) {
      const isThere = new RegExp(`(^|[\\s'"|])${word}($|[\\s'":])`, "m").test(
        text.replaceAll(/hatchway complete-names/g, ""),
      );
      expect({ shell, word, isThere }).toEqual({ shell, word, isThere: word === "join-code" });
    }
  }
});

test("PowerShell's script is well formed", async () => {
  const text = (await Bun.file(scripts.powershell).text()).replaceAll(/^#.*$/gm, "");
  const code = text.replaceAll(/'(?:[^']|'')*'/g, "");
  expect(code).not.toContain("'");
  const open: string[] = [];
  const pairs: Readonly<Record<string, string>> = { ")": "(", "}": "{", "]": "[" };
  for (const character of code.replaceAll(/"[^"]*"/g, "")) {
    if ("({[".includes(character)) open.push(character);
    else if (character in pairs) expect(open.pop()).toBe(pairs[character]!);
  }
  expect(open).toEqual([]);
  // A key twice in one table is an error there.
  for (const table of text.split(/^\$HatchwayTable\[/m).slice(1)) {
    const keys = [...table.split("Register-")[0]!.matchAll(/^ {4}'((?:[^']|'')*)' = /gm)].map(([, key]) =>
      key!.toLowerCase(),
    );
    expect(keys.length).toBe(new Set(keys).size);
  }
  expect(text).toContain("Register-ArgumentCompleter -Native -CommandName hatchway");
});
