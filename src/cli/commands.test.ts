import { describe, expect, test } from "bun:test";
import { Command } from "commander";
import { commandGroupsFor } from "./commands.ts";

async function defined(args: readonly string[]): Promise<string[]> {
  const program = new Command("hatchway");
  for (const { commands } of commandGroupsFor(args)) {
    for (const load of commands) (await load())(program, async () => {});
  }
  return program.commands.map((command) => command.name());
}

describe("the commands that arguments need", async () => {
  const all = await defined([]);

  test.each(all.filter((name) => !["completion", "man"].includes(name)))(
    "%s alone, when it stands first",
    async (name) => {
      expect(await defined([name, "--help"])).toEqual([name]);
    },
  );

  test.each([
    ["help", ["--help"]],
    ["the man page", ["man"]],
    ["completion", ["completion", "bash"]],
    ["a mistyped name", ["forwrad", "ls"]],
    ["an option before the name", ["--json", "status"]],
    ["a name that an object has", ["constructor"]],
  ])("all for %s", async (_what, args) => {
    expect(await defined(args)).toEqual(all);
  });

  test.each(["--version", "-V"])("none for %s", async (flag) => {
    expect(await defined([flag])).toEqual([]);
  });
});
