import type { Command } from "commander";
import { presetPorts } from "../core/presets/ports.ts";
import type { PresetRow } from "../core/presets/preset.ts";
import { searchPresets } from "../core/presets/search.ts";
import { quoted } from "../wire/text-error.ts";
import type { Context, Run } from "./context.ts";
import { formatTable } from "./text.ts";
import { titleOf } from "./wanted-ports.ts";

/** So many are told with what to know about them; more are a list. */
const MAX_DETAILED = 3;

export function definePresets(program: Command, run: Run): void {
  program
    .command("presets")
    .summary("list the programs and consoles whose ports are known")
    .description(
      "Lists the presets: names that `expose`, `map` and `forward add` take in the place of ports. Nothing is opened.",
    )
    .argument("[QUERY...]", "words of a name, or a port number; small slips do not matter")
    .addHelpText(
      "after",
      `
PORTS is what is opened. What is optional, for administrators or for the local network stays closed; a search that finds
three or fewer shows it, and the page where the ports were read.
With --json, one line; role: required, optional, admin or lan-only; risk: low, caution or danger:
  {"v":1,"presets":[{"id":…,"name":…,"variant":…|null,"ports":[{"protocol":"tcp"|"udp","ports":…,"role":…}],
   "samePortRequired":…,"inboundNeeded":…,"risk":…,"note":…|null,"source":…,"checked":"YYYY-MM","aliases":[…]}]}

Examples:
  hatchway presets
  hatchway presets minecraft
  hatchway presets 27015
  hatchway presets remote desktop --json`,
    )
    .action(async (words: readonly string[], _given: unknown, command: Command) =>
      run(command, async (context) => list(context, words.join(" "))),
    );
}

function list({ io, options }: Context, query: string): void {
  const presets = searchPresets(query);
  if (options.json) {
    io.out(`${JSON.stringify({ v: 1, presets })}\n`);
    return;
  }
  if (presets.length === 0) {
    io.out(`No preset fits ${quoted(query)}: \`hatchway presets\` lists them all; ports can always be written out.\n`);
    return;
  }
  const rows = presets.map((preset) => [preset.id, titleOf(preset), presetPorts(preset) || "none needed", preset.risk]);
  io.out(`${formatTable(["ID", "NAME", "PORTS", "RISK"], rows)}\n`);
  if (presets.length <= MAX_DETAILED) for (const preset of presets) io.out(`\n${details(preset)}\n`);
}

function details(preset: PresetRow): string {
  const others = preset.ports
    .filter(({ role }) => role !== "required")
    .map(({ ports, protocol, role }) => `${ports}/${protocol} (${role})`);
  const lines = [
    ...(preset.note === null ? [] : [preset.note]),
    ...(others.length === 0 ? [] : [`Left closed: ${others.join(", ")}.`]),
    ...(preset.samePortRequired ? ["The port outside must be the one inside."] : []),
    `${preset.source} (${preset.checked})`,
  ];
  return `${preset.id}:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
