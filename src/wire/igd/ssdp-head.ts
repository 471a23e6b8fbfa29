import { err, ok, type Result } from "../result.ts";

/** A datagram of SSDP (UPnP Device Architecture 1.1 §1): the head of an HTTP message, and no body. */
export interface SsdpHead {
  readonly startLine: string;
  /** By name in lower case; values without the blanks around. */
  readonly headers: ReadonlyMap<string, string>;
}

export type SsdpError =
  /** Over MAX_SSDP_BYTES. */
  | { readonly kind: "too-long" }
  /** A line has no end: the datagram was cut. */
  | { readonly kind: "truncated" }
  /** A control character in a line, or a line that is no header. */
  | { readonly kind: "line" }
  /** The same header twice. */
  | { readonly kind: "repeated"; readonly header: string }
  /** Another message than the one expected: NOTIFY and replies arrive on the port of the searches. */
  | { readonly kind: "start-line" }
  /** A header that must be there is not, or says something else than it may. */
  | { readonly kind: "header"; readonly header: string };

/** What an Ethernet frame carries. */
export const MAX_SSDP_BYTES = 1500;
const LF = 0x0a;
const CR = 0x0d;
const HTAB = 0x09;
const SPACE = 0x20;
const DEL = 0x7f;

/**
 * Takes each byte once. Lines may end in LF alone, and the empty line may be missing (the datagram says where the head
 * ends): devices do both.
 */
export function decodeHead(bytes: Uint8Array): Result<SsdpHead, SsdpError> {
  if (bytes.length > MAX_SSDP_BYTES) return err({ kind: "too-long" });
  const headers = new Map<string, string>();
  let startLine: string | null = null;
  for (let at = 0; at < bytes.length; ) {
    const lf = bytes.indexOf(LF, at);
    if (lf < 0) return err({ kind: "truncated" });
    const line = lineText(bytes.subarray(at, bytes[lf - 1] === CR && lf > at ? lf - 1 : lf));
    at = lf + 1;
    if (line === null) return err({ kind: "line" });
    if (line === "") break;
    if (startLine === null) {
      startLine = line;
      continue;
    }
    const colon = line.indexOf(":");
    const header = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!/^[a-z0-9._-]+$/.test(header)) return err({ kind: "line" });
    // Two answers leave it to chance which one counts.
    if (headers.has(header)) return err({ kind: "repeated", header });
    headers.set(header, line.slice(colon + 1).trim());
  }
  return startLine === null ? err({ kind: "truncated" }) : ok({ startLine, headers });
}

/** One character a byte; null when there is a control character. */
function lineText(bytes: Uint8Array): string | null {
  for (const byte of bytes) if ((byte < SPACE && byte !== HTAB) || byte === DEL) return null;
  return String.fromCharCode(...bytes);
}

/** Headers whose value is null are left out. */
export function encodeHead(
  startLine: string,
  headers: readonly (readonly [name: string, value: string | number | null])[],
): Uint8Array {
  const lines = headers.flatMap(([name, value]) => (value === null ? [] : `${name}: ${oneLine(`${value}`)}`.trimEnd()));
  return Uint8Array.from(`${[startLine, ...lines].join("\r\n")}\r\n\r\n`, (character) => character.charCodeAt(0));
}

/** A value that cannot begin another header: what is no printable ASCII, or Latin-1 as decodeHead reads it, is left out. */
function oneLine(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "").trim();
}
