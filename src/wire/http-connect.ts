import { formatHostPort, type HostPort, parseHostPort } from "./endpoint.ts";
import { newGather } from "./gather.ts";
import type { ReasonName } from "./reason.ts";
import { err, ok, type Result } from "./result.ts";
import { decodeUtf8 } from "./utf8.ts";

/** HTTP/1.x CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617) in Proxy-Authorization. */
export interface ConnectRequest {
  /** From the request line, nowhere else: a Host header that differs must not decide who may go where. */
  readonly target: HostPort;
  readonly authorization: ProxyAuthorization;
}

export type ProxyAuthorization =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** Another scheme, or Basic that cannot be read: answer 407. */
  | { readonly kind: "other" };

/** What to answer, with the sentence for the body. */
export interface ConnectError {
  readonly status: 400 | 405 | 431;
  readonly message: string;
}

export interface ConnectHead {
  readonly request: ConnectRequest;
  /** Bytes after the head: the client's first data. */
  readonly rest: Uint8Array;
}

/** Reads a request head that arrives in pieces, each byte once. After a value or an error it is spent. */
export interface ConnectParser {
  /** Null = more bytes are needed. */
  push(chunk: Uint8Array): Result<ConnectHead | null, ConnectError>;
}

export const MAX_HEAD_BYTES = 16_384;
const CR = 0x0d;
const LF = 0x0a;
const HTAB = 0x09;
const SPACE = 0x20;
const DEL = 0x7f;

export function newConnectParser(): ConnectParser {
  const gathered = newGather();
  let lineStart = 0;
  let scanned = 0;
  let target: HostPort | null = null;
  let authorization: ProxyAuthorization | null = null;

  function readLine(line: string): ConnectError | null {
    if (target === null) {
      const parsed = readRequestLine(line);
      if (!parsed.ok) return parsed.error;
      target = parsed.value;
      return null;
    }
    const header = readHeader(line);
    if (header === null) return bad("A header line is malformed.");
    if (header.name !== "proxy-authorization") return null;
    // Two answers to "who are you" leave it to chance which one counts.
    if (authorization !== null) return bad("Send one Proxy-Authorization header.");
    authorization = readAuthorization(header.value);
    return null;
  }

  return {
    push(chunk) {
      const bytes = gathered.append(chunk);
      const window = bytes.subarray(0, MAX_HEAD_BYTES);
      for (;;) {
        const lf = window.indexOf(LF, scanned);
        if (lf < 0) break;
        scanned = lf + 1;
        const line = lineText(window, lineStart, lf);
        if (line === null) return err(bad("The request has bytes that HTTP does not allow."));
        lineStart = lf + 1;
        if (line === "" && target !== null) {
          const request = { target, authorization: authorization ?? { kind: "none" } } as const;
          return ok({ request, rest: bytes.subarray(lineStart) });
        }
        const error = readLine(line);
        if (error !== null) return err(error);
      }
      scanned = window.length;
      if (window.length < MAX_HEAD_BYTES) return ok(null);
      return err({ status: 431, message: `The request head is over ${MAX_HEAD_BYTES} bytes.` });
    },
  };
}

function bad(message: string): ConnectError {
  return { status: 400, message };
}

/** The line before the LF at `lf`, one character a byte; null unless it ends in CR LF and has no other control character. */
function lineText(bytes: Uint8Array, start: number, lf: number): string | null {
  const end = lf - 1;
  if (end < start || bytes[end] !== CR) return null;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte < SPACE && byte !== HTAB) || byte === DEL) return null;
  }
  return String.fromCharCode(...bytes.subarray(start, end));
}

function readRequestLine(line: string): Result<HostPort, ConnectError> {
  const [method = "", authority = "", version = "", ...more] = line.split(" ");
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method) || more.length > 0 || !/^HTTP\/1\.[01]$/.test(version)) {
    return err(bad("The request line is not HTTP/1."));
  }
  if (method !== "CONNECT") return err({ status: 405, message: "This proxy takes CONNECT only." });
  const target = parseHostPort(authority);
  if (!target.ok || target.value.host === "*") return err(bad("The CONNECT target is not HOST:PORT."));
  return target;
}

function readHeader(line: string): { name: string; value: string } | null {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*/.exec(line);
  if (match === null) return null;
  return { name: (match[1] ?? "").toLowerCase(), value: trimEnd(line.slice(match[0].length)) };
}

/** Of spaces and tabs. Not /[ \t]+$/, which is quadratic in a run of spaces. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  return text.slice(0, end);
}

function readAuthorization(value: string): ProxyAuthorization {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value);
  const text = match === null ? null : decodeBase64Text(match[1] ?? "");
  const colon = text?.indexOf(":") ?? -1;
  if (text === null || colon < 0) return { kind: "other" };
  return { kind: "basic", username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decodeBase64Text(base64: string): string | null {
  let latin1: string;
  try {
    // Not Uint8Array.fromBase64, which Node 22 has not.
    latin1 = atob(base64);
  } catch {
    return null; // not base64
  }
  return decodeUtf8(Uint8Array.from(latin1, (character) => character.charCodeAt(0)));
}

/** The client's side: a whole request head. Fails for a user name with a colon, which RFC 7617 cannot carry. */
export function encodeConnectRequest(request: ConnectRequest): Result<Uint8Array, ConnectError> {
  const authority = formatHostPort(request.target.host, request.target.port);
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (request.authorization.kind === "basic") {
    const { username, password } = request.authorization;
    if (username.includes(":")) return err(bad("A user name for Basic credentials has no colon."));
    const credentials = new TextEncoder().encode(`${username}:${password}`).toBase64();
    lines.push(`Proxy-Authorization: Basic ${credentials}`);
  }
  return ok(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
}

const STATUS_TEXT = {
  200: "Connection established",
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  407: "Proxy Authentication Required",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
} as const;
export type ConnectStatus = keyof typeof STATUS_TEXT;

/** `message`: one sentence, the body of a refusal; a 200 has no body, the tunnel begins. */
export function encodeConnectResponse(status: ConnectStatus, message: string = STATUS_TEXT[status]): Uint8Array {
  const encoder = new TextEncoder();
  const statusLine = `HTTP/1.1 ${status} ${STATUS_TEXT[status]}`;
  if (status === 200) return encoder.encode(`${statusLine}\r\n\r\n`);
  const body = `${message}\n`;
  const lines = [
    statusLine,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${encoder.encode(body).length}`,
    "Connection: close",
  ];
  if (status === 405) lines.push("Allow: CONNECT");
  if (status === 407) lines.push('Proxy-Authenticate: Basic realm="Hatchway", charset="UTF-8"');
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

const STATUS_OF: Readonly<Record<ReasonName, ConnectStatus>> = {
  reset: 502,
  serviceRefused: 502,
  serviceTimeout: 504,
  serviceUnreachable: 502,
  hostNotFound: 502,
  exitNotAllowed: 403,
  policy: 403,
  deviceAway: 502,
  noForward: 502,
  connectionLimit: 503,
  rateLimit: 503,
  sourceNotAllowed: 403,
  unhealthy: 502,
  idle: 504,
  killed: 502,
  shutdown: 503,
  carrierLost: 502,
  protocolError: 502,
  resources: 503,
  proxyHeader: 403,
};

export function connectStatusFor(reason: ReasonName): ConnectStatus {
  return STATUS_OF[reason];
}
