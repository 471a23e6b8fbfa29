import type { Counters, Endpoint, ForwardInfo } from "../roles/control.ts";
import { formatHostPort } from "../wire/endpoint.ts";

const KILO = 1_000;
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `999 B`, `1.5 kB`, `20 MB`: SI, three digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= KILO;
    unit++;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

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
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** `relay.example:8810-8815/tcp`. */
export function formatEntry(endpoint: Endpoint): string {
  return `${formatHostPort(endpoint.host, endpoint.port)}${rangeEnd(endpoint.port, endpoint.lastPort)}/${endpoint.protocol}`;
}

/** `127.0.0.1:8810-8815`; for a dynamic forward what the visitor asks for. */
export function formatInternal(endpoint: Endpoint): string {
  const { internalHost, internalPort, port, lastPort } = endpoint;
  if (internalHost === null || internalPort === null) return "where each visitor asks";
  return `${formatHostPort(internalHost, internalPort)}${rangeEnd(internalPort, internalPort + (lastPort - port))}`;
}

function rangeEnd(first: number, last: number): string {
  return first === last ? "" : `-${last}`;
}

/** `sourceNotAllowed 2, rateLimit 1`; empty when nobody was refused. */
export function formatRefused(counters: Counters): string {
  return Object.entries(counters.refused)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(", ");
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

/** Names come from other machines: what could move the cursor is shown as a question mark. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

export function forwardsTable(forwards: readonly ForwardInfo[]): string {
  const withDevice = forwards.some((forward) => forward.device !== null);
  const head = [
    "NAME",
    ...(withDevice ? ["DEVICE"] : []),
    "TYPE",
    "STATE",
    "ENTRY",
    "EXIT",
    "VIA",
    "VISITORS",
    "IN",
    "OUT",
  ];
  const rows = forwards.map((forward) => {
    const [first, ...more] = forward.endpoints;
    const rest = more.length === 0 ? "" : ` +${more.length}`;
    return [
      forward.name,
      ...(withDevice ? [forward.device ?? "-"] : []),
      forward.type,
      forward.state,
      first === undefined ? "-" : formatEntry(first) + rest,
      first === undefined ? "-" : formatInternal(first) + rest,
      forward.via,
      `${forward.counters.visitorsOpen}/${forward.counters.visitorsTotal}`,
      formatBytes(forward.counters.bytesIn),
      formatBytes(forward.counters.bytesOut),
    ];
  });
  const notes = forwards.flatMap((forward) => {
    const refused = formatRefused(forward.counters);
    return [
      ...(forward.message === null ? [] : [`${printable(forward.name)}: ${printable(forward.message)}`]),
      ...(refused === "" ? [] : [`${printable(forward.name)}: visitors refused: ${refused}`]),
    ];
  });
  return [formatTable(head, rows), ...notes].join("\n");
}
