import { resolve } from "node:path";
import type { Command } from "commander";
import type { Context, Run } from "./context.ts";
import { defaultConfigPath } from "./data-dir.ts";

export function defineConfig(program: Command, run: Run): void {
  const group = program
    .command("config")
    .summary("check hatchway.toml, print its schema")
    .description("The config file: hatchway.toml in the data directory, or the one that --config names.");
  group
    .command("validate")
    .summary("check a config file")
    .description("Checks a config file and names the line and column of every mistake; exit code 2 when there is one.")
    .argument("[FILE]", "the file (default: --config, hatchway.toml in the data directory, or here)")
    .addHelpText(
      "after",
      '\nWith --json: {"v":1,"file":…,"forwards":N}\n\nExample:\n  hatchway config validate ./hatchway.toml',
    )
    .action(async (file: string | undefined, _given: unknown, command: Command) =>
      run(command, (context) => validate(context, file)),
    );
  group
    .command("schema")
    .summary("print the JSON Schema of hatchway.toml")
    .description("Prints the JSON Schema (draft 2020-12) of hatchway.toml, for editors.")
    .addHelpText("after", "\nExample:\n  hatchway config schema > hatchway.schema.json")
    .action(async (_given: unknown, command: Command) => run(command, schema));
}

async function validate(context: Context, file: string | undefined): Promise<void> {
  const { loadConfig } = await import("../roles/config/load.ts");
  const path = file === undefined ? defaultConfigPath(context) : resolve(file);
  const config = await loadConfig(path, true);
  const forwards = config.forwards.length + (config.file.mapping?.length ?? 0);
  if (context.options.json) context.io.out(`${JSON.stringify({ v: 1, file: path, forwards })}\n`);
  else context.io.err(`${path} is right; it lists ${forwards === 1 ? "1 forward" : `${forwards} forwards`}.\n`);
}

async function schema({ io }: Context): Promise<void> {
  const { configJsonSchema } = await import("../roles/config/schema.ts");
  io.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}
