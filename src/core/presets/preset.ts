import type { Protocol } from "../../wire/port-set.ts";

/**
 * What a port is for. `required` ports are opened; `optional` ones when a person adds them; `admin` (remote consoles,
 * settings) and `lan-only` (finding each other at home) are not for strangers.
 */
export const PORT_ROLES = ["required", "optional", "admin", "lan-only"] as const;
export type PortRole = (typeof PORT_ROLES)[number];
export const RISKS = ["low", "caution", "danger"] as const;
export type Risk = (typeof RISKS)[number];

export interface PresetPort {
  readonly protocol: Protocol;
  /** A port or a range: `25565`, `2456-2457`. */
  readonly ports: string;
  readonly role: PortRole;
}

/** The ports of a well-known program or console: what `GET /v1/presets` gives. */
export interface Preset {
  /** Kebab-case; what people type, and the name of the forward. */
  readonly id: string;
  readonly name: string;
  /** Of several that differ, as Java and Bedrock; null = there is one. */
  readonly variant: string | null;
  readonly ports: readonly PresetPort[];
  /** The port outside must be the one inside. */
  readonly samePortRequired: boolean;
  /** False: it works without any forward. */
  readonly inboundNeeded: boolean;
  /** danger: strangers look for it and get in; a relay is asked to let known sources in alone. */
  readonly risk: Risk;
  /** What to know before it is opened, in plain sentences. */
  readonly note: string | null;
  /** Where the ports were read. */
  readonly source: string;
  /** When, as YYYY-MM. */
  readonly checked: string;
}

/** A row of the table: with the other words that people type for it. */
export interface PresetRow extends Preset {
  readonly aliases: readonly string[];
}

const CHECKED = "2026-11";

/** What a row must say; the rest is as usual. */
type Draft = Pick<PresetRow, "id" | "name" | "source"> &
  Partial<Pick<PresetRow, "variant" | "samePortRequired" | "inboundNeeded" | "risk" | "note" | "aliases">> & {
    readonly ports: readonly (readonly PresetPort[])[];
  };

export function row({ ports, ...draft }: Draft): PresetRow {
  return {
    variant: null,
    samePortRequired: false,
    inboundNeeded: true,
    risk: "low",
    note: null,
    aliases: [],
    checked: CHECKED,
    ...draft,
    ports: ports.flat(),
  };
}

/** `tcp("80", "443")`: required. For another role: `as("admin", tcp("25575"))`. */
export function tcp(...ports: readonly string[]): readonly PresetPort[] {
  return ports.map((one) => ({ protocol: "tcp", ports: one, role: "required" }));
}

export function udp(...ports: readonly string[]): readonly PresetPort[] {
  return ports.map((one) => ({ protocol: "udp", ports: one, role: "required" }));
}

export function both(...ports: readonly string[]): readonly PresetPort[] {
  return [...tcp(...ports), ...udp(...ports)];
}

export function as(role: PortRole, ...ports: readonly (readonly PresetPort[])[]): readonly PresetPort[] {
  return ports.flat().map((port) => ({ ...port, role }));
}
