import { parseAddress } from "./address.ts";
import { err, ok, type Result } from "./result.ts";
import { quoted, type TextError } from "./text-error.ts";

/** An IP address (canonical text, RFC 5952 for IPv6; IPv4-mapped forms unmapped) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A name or an IP literal, and a port: what a person writes, before resolution. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function formatEndpoint(endpoint: Endpoint): string {
  return formatHostPort(endpoint.address, endpoint.port);
}

/** Every address of this machine, where a listener is meant. */
export const ANY_HOST = "*";
export const MAX_PORT = 65535;
/** RFC 1035 §2.3.4, in text form. */
export const MAX_HOST_CHARS = 253;
const MAX_LABEL_CHARS = 63;

export interface HostPortDefaults {
  /** Used for `:port` and a bare port; without it a host is required. */
  readonly defaultHost?: string;
  /** Used for a bare host; without it a port is required. */
  readonly defaultPort?: number;
  /** Port 0 is a request for any free port: for listeners only. */
  readonly allowPortZero?: boolean;
}

/**
 * `host:port`, `[v6]:port`, `:port`, `*:port`, a bare port, and with `defaultPort` a bare host or `[v6]`. The host
 * comes back canonical: parseAddress's text, `*`, or a name in lower case.
 */
export function parseHostPort(text: string, defaults: HostPortDefaults = {}): Result<HostPort, TextError> {
  if (text === "") return err(fault("Write HOST:PORT, for example 192.0.2.7:8080.", 0, 0));
  if (/^[0-9]+$/.test(text)) return withDefaultHost(text, 0, defaults);

  let hostEnd: number;
  let host: Result<string, TextError>;
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) return err(fault('Close the IPv6 address with "]".', 0, text.length));
    hostEnd = close + 1;
    if (hostEnd < text.length && text[hostEnd] !== ":") {
      return err(fault('Write ":" and the port after "]".', hostEnd, text.length - hostEnd));
    }
    host = bracketed(text.slice(1, close));
  } else {
    const colon = text.lastIndexOf(":");
    hostEnd = colon < 0 ? text.length : colon;
    if (text.indexOf(":") !== colon) return err(unbracketed(text));
    if (hostEnd === 0) return withDefaultHost(text.slice(1), 1, defaults);
    const name = text.slice(0, hostEnd);
    host = name === ANY_HOST ? ok(ANY_HOST) : parseHost(name);
  }
  if (!host.ok) return host;

  if (hostEnd === text.length) {
    if (defaults.defaultPort !== undefined) return ok({ host: host.value, port: defaults.defaultPort });
    const suggestion = formatHostPort(host.value, 8080);
    return err({ ...fault("Add the port after the host.", 0, text.length), suggestion });
  }
  const port = parsePort(text.slice(hostEnd + 1), hostEnd + 1, defaults.allowPortZero);
  return port.ok ? ok({ host: host.value, port: port.value }) : port;
}

function fault(message: string, offset: number, length: number): TextError {
  return { message, offset, length };
}

function withDefaultHost(portText: string, offset: number, defaults: HostPortDefaults): Result<HostPort, TextError> {
  const port = parsePort(portText, offset, defaults.allowPortZero);
  if (!port.ok) return port;
  if (defaults.defaultHost !== undefined) return ok({ host: defaults.defaultHost, port: port.value });
  const suggestion = formatHostPort("127.0.0.1", port.value);
  return err({ ...fault("Add the host before the port.", 0, offset + portText.length), suggestion });
}

function bracketed(inside: string): Result<string, TextError> {
  const parsed = inside.includes(":") ? parseAddress(inside) : null;
  if (parsed?.ok) return parsed;
  if (parsed !== null) return err({ ...parsed.error, offset: parsed.error.offset + 1 });
  return err(fault("Brackets are for IPv6 addresses, for example [2001:db8::7]:80.", 0, inside.length + 2));
}

/** More than one colon without brackets: where the address ends and the port begins is anyone's guess. */
function unbracketed(text: string): TextError {
  const error = fault("Put the IPv6 address in brackets.", 0, text.length);
  if (parseAddress(text).ok) return { ...error, suggestion: `[${text}]:8080` };
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon);
  if (parseAddress(address).ok) return { ...error, suggestion: `[${address}]:${text.slice(colon + 1)}` };
  return fault("Write HOST:PORT with one colon; an IPv6 address stands in brackets.", 0, text.length);
}

/** A port from 1 (0 if allowed) to 65535; `offset` is where `text` stands in what the person wrote. */
export function parsePort(text: string, offset = 0, allowZero = false): Result<number, TextError> {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= MAX_PORT && (port > 0 || allowZero)) return ok(port);
  const message = `The port is a number from ${allowZero ? 0 : 1} to ${MAX_PORT}.`;
  return err(fault(message, offset, text.length));
}

/**
 * A host: an IP literal (no brackets; canonical text comes back) or a name by RFC 1123 §2.1 plus underscores, which
 * real names have; lower case comes back. A name that ends in a number is refused: resolvers read such as IPv4.
 */
export function parseHost(text: string): Result<string, TextError> {
  if (text === "") return err(fault("Write a host name or an IP address.", 0, 0));
  if (text.includes(":")) return parseAddress(text);
  const name = text.toLowerCase();
  const length = name.endsWith(".") ? name.length - 1 : name.length;
  if (length > MAX_HOST_CHARS) {
    return err(fault(`A host name has at most ${MAX_HOST_CHARS} characters.`, MAX_HOST_CHARS, length - MAX_HOST_CHARS));
  }
  let labelStart = 0;
  let lastLabel = "";
  for (let at = 0; at <= length; at++) {
    if (at < length && name[at] !== ".") {
      if (!/[a-z0-9_-]/.test(name[at] ?? "")) return err(badCharacter(text, at));
      continue;
    }
    lastLabel = name.slice(labelStart, at);
    const problem = labelProblem(lastLabel);
    if (problem !== null) return err(fault(problem, labelStart, Math.max(1, lastLabel.length)));
    labelStart = at + 1;
  }
  if (/^([0-9]+|0x[0-9a-f]*)$/.test(lastLabel)) {
    const address = parseAddress(text);
    return address.ok
      ? address
      : err(fault(`${quoted(text)} is neither an IPv4 address nor a host name.`, 0, text.length));
  }
  return ok(name);
}

function badCharacter(text: string, at: number): TextError {
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  const message =
    character > "\x7f"
      ? `Write the host name in its ASCII form (xn--…): ${quoted(character)} is not ASCII.`
      : `A host name has letters, digits, "-", "_" and "."; ${quoted(character)} is none of them.`;
  return fault(message, at, character.length);
}

function labelProblem(label: string): string | null {
  if (label === "") return "A host name has no empty part between dots.";
  if (label.length > MAX_LABEL_CHARS) return `Each part of a host name has at most ${MAX_LABEL_CHARS} characters.`;
  if (label.startsWith("-") || label.endsWith("-")) return 'A part of a host name neither begins nor ends with "-".';
  return null;
}
