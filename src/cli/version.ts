import type { Command } from "commander";
import { VERSION } from "../os/version.ts";
import type { Run } from "./context.ts";

export function defineVersion(program: Command, run: Run): void {
  program
    .command("version")
    .summary("print the version")
    .description("Prints the version of the program and of the Bun that runs it.")
    .addHelpText("after", '\nWith --json: {"v":1,"version":…,"bun":…}\n\nExample:\n  hatchway version')
    .action(async (_given: unknown, command: Command) =>
      run(command, async ({ io, options }) => {
        const text = options.json
          ? JSON.stringify({ v: 1, version: VERSION, bun: Bun.version })
          : `hatchway ${VERSION} (Bun ${Bun.version})`;
        io.out(`${text}\n`);
      }),
    );
}
