import type { Command } from "commander";
import { VERSION } from "../os/version.ts";
import type { Run } from "./context.ts";

export function defineMan(program: Command, run: Run): void {
  program
    .command("man")
    .summary("print the manual page: every command with its options and examples")
    .description(
      "Prints hatchway(1), the manual page, which says what the help of every command says, in one document.",
    )
    .addHelpText(
      "after",
      "\nThe npm package brings it: `man hatchway` after a global install. With the executable, see the second line.\n\nExamples:\n  hatchway man | man -l -\n  hatchway man > /usr/local/share/man/man1/hatchway.1",
    )
    .action(async (_given: unknown, command: Command) =>
      run(command, async ({ io }) => {
        const { describeProgram } = await import("./reference/tree.ts");
        const { manPage } = await import("./reference/man.ts");
        io.out(manPage(describeProgram(program), VERSION));
      }),
    );
}
