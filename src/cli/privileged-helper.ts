import type { Command } from "commander";
import type { Run } from "./context.ts";

export function definePrivilegedHelper(program: Command, run: Run): void {
  program
    .command("privileged-helper", { hidden: true })
    .description("The gateway's own: holds the kernel's part of it, as root. The gateway starts it.")
    .argument("<DIRECTORY>", "root's own")
    .action(async (directory: string, _given: unknown, command: Command) =>
      run(command, async ({ io }) => {
        await io.startLog("info");
        const { runHelper } = await import("../roles/gateway/helper/run.ts");
        await runHelper(directory);
      }),
    );
}
