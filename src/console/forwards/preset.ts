import type { Preset } from "../../servers/api/schema.ts";
import { formatPortSet, type PortRange, parsePortSet } from "../../wire/port-set.ts";

export type PresetPorts = Preset["ports"][number];

/** Shown as `Minecraft: Java`. */
export function presetTitle({ name, variant }: Pick<Preset, "name" | "variant">): string {
  return variant === null ? name : `${name}: ${variant}`;
}

/** The text of the port field for these: sorted, each with its protocol. */
export function presetText(ports: readonly PresetPorts[]): string {
  const ranges = ports.flatMap(({ protocol, ports: text }): PortRange[] => {
    const set = parsePortSet(text);
    return set.ok ? set.value.ranges.map((range) => ({ ...range, protocol })) : [];
  });
  return formatPortSet({ ranges });
}

/** What a preset puts into the field: not for strangers are `admin` and `lan-only`, and the rest is a person's choice. */
export function requiredPorts(preset: Preset): readonly PresetPorts[] {
  return preset.ports.filter(({ role }) => role === "required");
}

export const ROLE_WORDS = {
  required: "needed",
  optional: "optional",
  admin: "administration: not for strangers",
  "lan-only": "for the local network only",
} as const satisfies Record<PresetPorts["role"], string>;
