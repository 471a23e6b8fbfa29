import { formatPortSet, parsePortSet } from "../../wire/port-set.ts";
import type { PortRole, Preset } from "./preset.ts";

/**
 * What is opened for a preset, as a port set: what it requires, and with `optional` what may be added. "" when it needs
 * none. What is for administrators and for the local network alone is never in it.
 */
export function presetPorts(preset: Preset, { optional = false } = {}): string {
  return portsOfRoles(preset, optional ? ["required", "optional"] : ["required"]);
}

/** The ports that have one of the roles, as a port set; "" when none has. */
export function portsOfRoles(preset: Preset, roles: readonly PortRole[]): string {
  const items = preset.ports
    .filter(({ role }) => roles.includes(role))
    .map(({ ports, protocol }) => `${ports}/${protocol}`);
  const parsed = parsePortSet(items.join(","));
  // A table's test holds that every row parses; the other error is that there is no port.
  return parsed.ok ? formatPortSet(parsed.value) : "";
}
