import { PROTOCOL_NAMES } from "../core/router/ladder.ts";
import type { Counters, Endpoint, ForwardInfo, IgnoredCount, RouterName } from "../roles/control.ts";
import { formatBytes } from "../wire/byte-words.ts";
import { formatHostPort } from "../wire/endpoint.ts";
import type { ReasonName } from "../wire/reason.ts";

export { formatBytes };

/** `45s`, `12m`, `3h 20m`, `2d 4h`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
  return hours % 24 === 0 ? `${hours / 24}d` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

export function formatMs(milliseconds: number | null): string {
  if (milliseconds === null) return "-";
  if (milliseconds < 0.05) return "< 0.1 ms";
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/**
 * `127.0.0.1:8810-8815`. `:8810-8815` where the host is the device's own affair: a relay never learns it. For a dynamic
 * forward what the visitor asks for.
 */
export function formatInternal(endpoint: Endpoint): string {
  const { internalHost, internalPort, port, lastPort } = endpoint;
  if (internalPort === null) return "where each visitor asks";
  const end = rangeEnd(internalPort, internalPort + (lastPort - port));
  return internalHost === null ? `:${internalPort}${end}` : `${formatHostPort(internalHost, internalPort)}${end}`;
}

/** An endpoint as a list shows it. */
export interface EndpointText {
  /** `relay.example:53/tcp+udp`. */
  readonly entry: string;
  readonly exit: string;
}

/** One text for each run of ports; the TCP and the UDP side of the same run are one. In the order of `endpoints`. */
export function endpointTexts(endpoints: readonly Endpoint[]): EndpointText[] {
  const runs = new Map<string, { readonly endpoint: Endpoint; readonly protocols: string[] }>();
  for (const endpoint of endpoints) {
    const { protocol, ...ports } = endpoint;
    const key = JSON.stringify([ports.host, ports.port, ports.lastPort, ports.internalHost, ports.internalPort]);
    const run = runs.get(key);
    if (run === undefined) runs.set(key, { endpoint, protocols: [protocol] });
    else run.protocols.push(protocol);
  }
  return [...runs.values()].map(({ endpoint, protocols }) => {
    const { host, port, lastPort, url } = endpoint;
    if (url !== undefined) return { entry: url, exit: formatInternal(endpoint) };
    const entry = `${formatHostPort(host, port)}${rangeEnd(port, lastPort)}/${protocols.toSorted().join("+")}`;
    return { entry, exit: formatInternal(endpoint) };
  });
}

function rangeEnd(first: number, last: number): string {
  return first === last ? "" : `-${last}`;
}

/** Televisions and printers answer a search for everything, as they should: that is in --json alone. */
const USUAL = "other-device";

/** What came where routers answer, and did not count; "" = nothing that is worth a word. */
export function ignoredText(ignored: readonly IgnoredCount[]): string {
  const told = ignored.filter(({ reason }) => reason !== USUAL);
  return told.map(({ protocol, reason, count }) => `${count} ${protocol} ${reason}`).join(", ");
}

/** `MiniUPnPd at 192.168.1.1, by PCP`. */
export function routerText({ protocol, address, model }: RouterName): string {
  return `${printable(model ?? "router")} at ${address}, by ${PROTOCOL_NAMES[protocol]}`;
}

/** Visitors that never reached the service, and why. */
const REFUSED_WORDS: Readonly<Partial<Record<ReasonName, string>>> = {
  serviceRefused: "service refused",
  serviceTimeout: "service did not answer",
  serviceUnreachable: "no route to the service",
  hostNotFound: "host name not found",
  exitNotAllowed: "exit not allowed",
  policy: "relay's policy",
  deviceAway: "device away",
  noForward: "no such forward",
  connectionLimit: "connection limit",
  rateLimit: "rate limit",
  sourceNotAllowed: "source not allowed",
  unhealthy: "service fails its check",
  resources: "out of descriptors or memory",
  proxyHeader: "PROXY protocol header",
};

/** Visits that were open, and what ended them before their time. */
const CUT_WORDS: Readonly<Partial<Record<ReasonName, string>>> = {
  reset: "reset by the other side",
  idle: "idle",
  killed: "ended by a person",
  shutdown: "forward or program stopped",
  carrierLost: "link to the relay lost",
  protocolError: "protocol error",
};

/** `12 refused: service refused 10, source not allowed 2; 1 cut: idle 1`; empty when there was none. */
export function formatRefused(refused: Counters["refused"]): string {
  const parts = [countsText("refused", refused, REFUSED_WORDS), countsText("cut", refused, CUT_WORDS)];
  return parts.filter((part) => part !== "").join("; ");
}

function countsText(what: string, refused: Counters["refused"], words: Readonly<Record<string, string>>): string {
  const counts = Object.entries(refused).flatMap(([reason, count]) => {
    const word = words[reason];
    return word === undefined || count === 0 ? [] : [{ word, count }];
  });
  if (counts.length === 0) return "";
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const most = counts.toSorted((a, b) => b.count - a.count);
  return `${total} ${what}: ${most.map(({ word, count }) => `${word} ${count}`).join(", ")}`;
}

/** Columns side by side, two spaces between, no borders. The last column is not padded. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...all.map((row) => Bun.stringWidth(row[column] ?? ""))));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** With one full stop at its end. */
export function asSentence(text: string): string {
  return text.replace(/\.?$/, ".");
}

/** Names come from other machines: what could move the cursor is shown as a question mark. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

/** The same of a text of several lines: commands to copy, for instance. Lines after the first begin with `indent`. */
export function printableLines(text: string, indent = ""): string {
  return text.split("\n").map(printable).join(`\n${indent}`);
}

export const NO_FORWARDS = "No forwards: open one with `hatchway expose` or `hatchway forward add`.";
const MAX_RUNS_SHOWN = 5;

/** The forwards, a line for each run of ports, and under the table why some are not open or refused visitors. */
export function forwardsTable(forwards: readonly ForwardInfo[]): string {
  const withDevice = forwards.some((forward) => forward.device !== null);
  const head = [
    "NAME",
    ...(withDevice ? ["DEVICE"] : []),
    "TYPE",
    "STATE",
    "ENTRY",
    "EXIT",
    ...(withDevice ? [] : ["VIA"]),
    "NOW/ALL",
    "IN",
    "OUT",
  ];
  const rows = forwards.flatMap((forward) => {
    const runs = endpointTexts(forward.endpoints);
    const more = runs.length - MAX_RUNS_SHOWN;
    const shown = more > 0 ? [...runs.slice(0, MAX_RUNS_SHOWN), { entry: `and ${more} more`, exit: "" }] : runs;
    const [first = { entry: "-", exit: "-" }, ...rest] = shown;
    const { visitorsOpen, visitorsTotal, bytesIn, bytesOut } = forward.counters;
    return [
      [
        forward.name,
        ...(withDevice ? [forward.device ?? "-"] : []),
        forward.type,
        forward.state,
        first.entry,
        first.exit,
        ...(withDevice ? [] : [forward.via]),
        `${visitorsOpen}/${visitorsTotal}`,
        formatBytes(bytesIn),
        formatBytes(bytesOut),
      ],
      ...rest.map(({ entry, exit }) => ["", ...(withDevice ? [""] : []), "", "", entry, exit]),
    ];
  });
  const notes = forwards.flatMap(({ name, message, counters }) => {
    const refused = formatRefused(counters.refused);
    return [message === null ? "" : printable(message), refused]
      .filter((note) => note !== "")
      .map((note) => `${printable(name)}: ${note}`);
  });
  return [formatTable(head, rows), ...notes].join("\n");
}
