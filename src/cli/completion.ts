import { Argument, type Command } from "commander";
import type { Context, Run } from "./context.ts";
import { findPlace } from "./data-dir.ts";
import { NAME_KINDS, type NameKind } from "./reference/tree.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;
type Shell = (typeof SHELLS)[number];

export function defineCompletion(program: Command, run: Run): void {
  program
    .command("completion")
    .summary("print a script that completes commands in bash, zsh, fish or PowerShell")
    .description(
      "Prints a script for a shell, which completes commands, options and their values at the Tab key. It has all of that in it; only the names of devices, forwards and people are asked of what runs here.",
    )
    .addArgument(new Argument("<SHELL>", "bash, zsh, fish or powershell").choices(SHELLS))
    .addHelpText(
      "after",
      `
Print it again after an upgrade, or let the shell do so at each start, as the first lines do:
  bash         in ~/.bashrc: source <(hatchway completion bash)
  zsh          in ~/.zshrc, behind compinit: source <(hatchway completion zsh)
  fish         hatchway completion fish > ~/.config/fish/completions/hatchway.fish
  PowerShell   in $PROFILE: hatchway completion powershell | Out-String | Invoke-Expression

Example:
  hatchway completion bash > /etc/bash_completion.d/hatchway`,
    )
    .action(async (shell: Shell, _given: unknown, command: Command) =>
      run(command, async ({ io }) => io.out(await scriptFor(shell, program))),
    );
}

async function scriptFor(shell: Shell, program: Command): Promise<string> {
  const { describeProgram } = await import("./reference/tree.ts");
  const { completionTable } = await import("./reference/table.ts");
  const table = completionTable(describeProgram(program));
  switch (shell) {
    case "bash":
      return (await import("./reference/bash.ts")).bashScript(table);
    case "zsh":
      return (await import("./reference/zsh.ts")).zshScript(table);
    case "fish":
      return (await import("./reference/fish.ts")).fishScript(table);
    case "powershell":
      return (await import("./reference/powershell.ts")).powershellScript(table);
    default:
      return shell satisfies never;
  }
}

/** Not for people: the scripts ask this, at the Tab key. What cannot be asked has no names. */
export function defineCompleteNames(program: Command, run: Run): void {
  program
    .command("complete-names", { hidden: true })
    .description("The scripts of `hatchway completion` ask this.")
    .addArgument(new Argument("<KIND>").choices(NAME_KINDS))
    .action(async (kind: NameKind, _given: unknown, command: Command) =>
      run(command, async (context) => {
        const names = (await namesOf(context, kind)).filter((name) => PLAIN.test(name));
        context.io.out([...new Set(names)].map((name) => `${name}\n`).join(""));
      }),
    );
}

/** A shell splits words at anything else. */
const PLAIN = /^[A-Za-z0-9_.@+-]+$/;

async function namesOf(context: Context, kind: NameKind): Promise<string[]> {
  const { agentClient, gatewayClient, relayClient } = await import("../servers/local/client.ts");
  const { relaySocket, agentSocket, gatewaySocket } = (await findPlace(context, "agent")).paths;
  const relay = relayClient(relaySocket);
  switch (kind) {
    case "devices":
      return await named(() => relay.listDevices());
    case "people":
      return await named(() => relay.listPeople());
    case "forwards": {
      const all = [relay, agentClient(agentSocket), gatewayClient(gatewaySocket)];
      return (await Promise.all(all.map((one) => named(() => one.listForwards())))).flat();
    }
    default:
      return kind satisfies never;
  }
}

async function named(list: () => Promise<readonly { readonly name: string }[]>): Promise<string[]> {
  const { ControlError } = await import("../servers/local/error.ts");
  try {
    return (await list()).map(({ name }) => name);
  } catch (error) {
    if (error instanceof ControlError) return [];
    throw error;
  }
}
