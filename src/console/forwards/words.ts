import type { Forward } from "../../servers/api/schema.ts";
import { type PortMapping, type PortSet, type Protocol, settleProtocol } from "../../wire/port-set.ts";
import type { TextError } from "../../wire/text-error.ts";
import { count } from "../format.ts";

export type ProtocolChoice = "tcp" | "udp" | "tcp+udp";

/** One run of ports, as people say it. */
export interface PortsMeaning {
  readonly protocols: string;
  /** `8810 to 8815` */
  readonly outside: string;
  /** The ports that they lead to; null = the same. */
  readonly inside: string | null;
  readonly ports: number;
}

export function rangeWords(first: number, last: number): string {
  return first === last ? `${first}` : `${first} to ${last}`;
}

/** In the order of the ports; the TCP and the UDP side of the same run are one. */
export function meaningOf(set: PortSet, protocol: ProtocolChoice): readonly PortsMeaning[] {
  const runs = new Map<string, { readonly mapping: PortMapping; readonly protocols: Protocol[] }>();
  for (const mapping of settleProtocol(set, protocol)) {
    const key = `${mapping.first}-${mapping.last}:${mapping.internalFirst}`;
    const run = runs.get(key);
    if (run === undefined) runs.set(key, { mapping, protocols: [mapping.protocol] });
    else run.protocols.push(mapping.protocol);
  }
  return [...runs.values()].map(({ mapping, protocols }) => {
    const { first, last, internalFirst } = mapping;
    return {
      protocols: protocols.toSorted().join(" and ").toUpperCase().replace("AND", "and"),
      outside: rangeWords(first, last),
      inside: internalFirst === first ? null : rangeWords(internalFirst, internalFirst + last - first),
      ports: last - first + 1,
    };
  });
}

/** `8 ports`, each number once however many protocols it has. */
export function portCount(meaning: readonly PortsMeaning[]): string {
  return count(
    meaning.reduce((sum, { ports }) => sum + ports, 0),
    "port",
  );
}

/** A faulty text in three pieces, to mark the one in the middle. */
export interface MarkedText {
  readonly before: string;
  readonly place: string;
  readonly after: string;
}

export function markPlace(text: string, { offset, length }: TextError): MarkedText {
  const end = Math.max(offset + length, offset + 1);
  return { before: text.slice(0, offset), place: text.slice(offset, end), after: text.slice(end) };
}

/** The text with the faulty item mended: the parser's suggestion stands for all of the item that the place is in. */
export function mend(text: string, error: TextError & { readonly suggestion: string }): string {
  const before = text.slice(0, error.offset).replace(/[^,\s]*$/, "");
  const after = text.slice(error.offset + error.length).replace(/^[^,\s]*/, "");
  return before + error.suggestion + after;
}

/** Who may come: `anyone`, or how many networks. */
export function sourcesWords({ allow, deny }: Pick<Forward, "allow" | "deny">): string {
  const except =
    deny.length === 0 ? "" : `, except ${deny.length <= 2 ? deny.join(", ") : count(deny.length, "network")}`;
  if (allow.length === 0) return `anyone${except}`;
  return `${allow.length <= 2 ? allow.join(", ") : count(allow.length, "network")}${except}`;
}

export const STATE_WORDS = {
  open: { word: "Open", tone: "ok" },
  waiting: { word: "Waiting", tone: "warn" },
  refused: { word: "Refused", tone: "bad" },
  disabled: { word: "Off", tone: "quiet" },
  away: { word: "Device away", tone: "warn" },
  unhealthy: { word: "Unhealthy", tone: "bad" },
} as const satisfies Record<
  Forward["state"],
  { readonly word: string; readonly tone: "ok" | "warn" | "bad" | "quiet" }
>;
