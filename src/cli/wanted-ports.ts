import { dangersOf } from "../core/presets/dangers.ts";
import { portsOfRoles, presetPorts } from "../core/presets/ports.ts";
import type { PortRole, Preset } from "../core/presets/preset.ts";
import { ControlError } from "../servers/local/error.ts";
import { parsePortSet } from "../wire/port-set.ts";
import { quoted, renderTextError, type TextError } from "../wire/text-error.ts";
import type { Io } from "./context.ts";

type Given = Readonly<Record<string, unknown>>;

/** What stands in the place of PORTSET, as the options of a forward. */
export interface WantedPorts {
  readonly ports: string;
  /** As given; with a preset, its id is the name when nobody gave one. */
  readonly given: Given;
  /** Null: a port set, or what the reader of port sets has to say something about. */
  readonly preset: Preset | null;
}

/** How visitors come: a relay and a gateway can let known sources in alone, somebody else's router cannot. */
export type Way = "relay" | "router";

const LEFT_CLOSED: readonly (readonly [PortRole, string])[] = [
  ["optional", "optional"],
  ["admin", "for administrators"],
  ["lan-only", "for the local network"],
];

/** The ports that a port set, a preset's id or its name means. Throws ControlError `usage` for a preset that opens none. */
export async function wantedPorts(text: string, given: Given): Promise<WantedPorts> {
  const parsed = parsePortSet(text);
  if (parsed.ok) return { ports: text, given, preset: null };
  const { findPreset } = await import("../core/presets/search.ts");
  const match = findPreset(text);
  switch (match.kind) {
    case "one":
      return presetOf(match.preset, given);
    case "several": {
      const names = listed(match.presets.map(({ id }) => id));
      throw new ControlError("usage", `PORTSET: ${quoted(text)} can be ${names}: name one of them.`);
    }
    case "none":
      if (match.near.length > 0) throw unknownName(text, parsed.error, match.near);
      // Its mistake is told with the others, by the reader of port sets.
      return { ports: text, given, preset: null };
    default:
      return match satisfies never;
  }
}

/** On a router that is asked for it, the port must be the same outside where the preset says so. */
export function forRouter({ given, preset }: WantedPorts): Given {
  return preset?.samePortRequired === true && given["as"] === undefined ? { ...given, samePort: true } : given;
}

/** Throws ControlError `usage` when a preset is too dangerous to be open to everybody unasked. */
export function requireSources({ given, preset }: WantedPorts): void {
  if (preset === null || preset.risk !== "danger" || given["allow"] !== undefined) return;
  const everybody = "--allow 0.0.0.0/0 --allow ::/0 for everybody";
  throw new ControlError(
    "usage",
    `${titleOf(preset)} is for known addresses alone: say whose with --allow, such as --allow 198.51.100.7, or ${everybody}. ${preset.note ?? ""}`.trimEnd(),
  );
}

/** On standard error, once: what a preset opens and leaves closed, and what is dangerous about the ports. */
export function tellWanted(io: Io, { ports, given, preset }: WantedPorts, way: Way): void {
  const lines = preset === null ? dangersIn(ports, given["protocol"]) : presetLines(preset, given, way);
  for (const line of lines) io.err(`${line}\n`);
}

function presetOf(preset: Preset, given: Given): WantedPorts {
  if (!preset.inboundNeeded) throw new ControlError("usage", needsNone(preset));
  return { ports: presetPorts(preset), given: { ...given, name: given["name"] ?? preset.id }, preset };
}

function needsNone(preset: Preset): string {
  return `${titleOf(preset)}: no port is to be opened. ${preset.note ?? ""}`.trimEnd();
}

/** The sentence of the reader of port sets, and the preset that is most like the word. */
function unknownName(text: string, error: TextError, near: readonly Preset[]): ControlError {
  const suggestion = `the preset ${listed(near.map(({ id }) => id))}`;
  return new ControlError(
    "usage",
    renderTextError(text, { ...error, message: `PORTSET: ${error.message}`, suggestion }),
  );
}

function presetLines(preset: Preset, given: Given, way: Way): readonly string[] {
  const lines = [`${titleOf(preset)}: ${presetPorts(preset)}.`];
  if (preset.note !== null) lines.push(preset.note);
  const closed = LEFT_CLOSED.flatMap(([role, what]) => {
    const ports = portsOfRoles(preset, [role]);
    return ports === "" ? [] : [`${ports} (${what})`];
  });
  if (closed.length > 0) lines.push(`Left closed: ${closed.join("; ")}.`);
  if (preset.risk === "danger" && way === "router")
    lines.push("A router lets everybody in: only a relay asks who comes.");
  if (preset.samePortRequired && given["as"] !== undefined) {
    lines.push("It works only with the same ports outside as inside: leave --as out.");
  }
  return lines;
}

/** A port set that a person wrote out is what they want: only what strangers look for is told. */
function dangersIn(ports: string, protocol: unknown): readonly string[] {
  const settled = protocol === "udp" || protocol === "tcp+udp" ? protocol : "tcp";
  return dangersOf(ports, settled)
    .filter(({ level }) => level === "danger")
    .map(({ sentence }) => sentence);
}

export function titleOf({ name, variant }: Preset): string {
  return variant === null ? name : `${name} (${variant})`;
}

/** `a`, `a or b`, `a, b or c`. */
function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
