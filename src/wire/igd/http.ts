import { newGather } from "../gather.ts";
import { err, ok, type Result } from "../result.ts";
import {
  type ChunkError,
  type ChunkReader,
  headerName,
  LF,
  lineText,
  maxChunkedBytes,
  newChunkReader,
} from "./http-framing.ts";
import { MAX_SOAP_BYTES } from "./soap.ts";

/** HTTP/1.x as a UPnP device takes it (UPnP Device Architecture 1.1 §2, §3): one request a connection, of known size. */
export interface HttpRequest {
  readonly method: string;
  /** The request target in origin form, as written: `/path`. */
  readonly path: string;
  /** The `x` of HTTP/1.x. */
  readonly minorVersion: 0 | 1;
  /** By name in lower case; values without the blanks around. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export interface HttpError {
  readonly status: 400 | 411 | 413 | 431 | 501 | 505;
}

/** Reads one request that arrives in pieces, each byte once. After a value or an error it is spent. */
export interface HttpRequestReader {
  /** Null = more bytes are needed. */
  push(chunk: Uint8Array): Result<HttpRequest | null, HttpError>;
  /** The head is there, and the client waits for a 100 before it sends the body (RFC 9110 §10.1.1). */
  readonly awaitsContinue: boolean;
}

/** The longest head of a known client has 500 bytes; browsers, whose heads have cookies, are not meant. */
export const MAX_HTTP_HEAD_BYTES = 4096;
/** What is kept of a request at most, however much comes at once. */
const MAX_KEPT_BYTES = MAX_HTTP_HEAD_BYTES + maxChunkedBytes(MAX_SOAP_BYTES);
const CHUNK_STATUS = { malformed: 400, "too-long": 413 } as const satisfies Record<ChunkError, HttpError["status"]>;
/** What decides about the request: two of them leave it to chance which one counts. */
const SINGLE = new Set(["host", "origin", "content-length", "transfer-encoding", "soapaction", "user-agent", "expect"]);

interface Head {
  readonly method: string;
  readonly path: string;
  readonly minorVersion: 0 | 1;
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
}

type Framing = { readonly kind: "sized"; readonly bytes: number } | { readonly kind: "chunked" };

export function newHttpRequestReader(): HttpRequestReader {
  const gathered = newGather();
  const lines: string[] = [];
  let scanned = 0;
  let lineStart = 0;
  let head: Head | null = null;
  let chunks: ChunkReader | null = null;

  function readHead(bytes: Uint8Array): Result<Head | null, HttpError> {
    const window = bytes.subarray(0, MAX_HTTP_HEAD_BYTES);
    for (;;) {
      const lf = window.indexOf(LF, scanned);
      if (lf < 0) break;
      const line = lineText(window, lineStart, lf);
      if (line === null) return err({ status: 400 });
      scanned = lf + 1;
      lineStart = lf + 1;
      if (line === "" && lines.length > 0) {
        gathered.consume(lineStart);
        return parseHead(lines);
      }
      // RFC 9112 §2.2: empty lines before the request line are passed over; the head's limit bounds them.
      if (line !== "") lines.push(line);
    }
    scanned = window.length;
    return window.length < MAX_HTTP_HEAD_BYTES ? ok(null) : err({ status: 431 });
  }

  function readBody(bytes: Uint8Array, framing: Framing): Result<Uint8Array | null, HttpError> {
    if (framing.kind === "sized") return ok(bytes.length < framing.bytes ? null : bytes.slice(0, framing.bytes));
    chunks ??= newChunkReader(MAX_SOAP_BYTES);
    const read = chunks.read(bytes);
    return read.ok ? read : err({ status: CHUNK_STATUS[read.error] });
  }

  return {
    get awaitsContinue() {
      return head?.headers.get("expect")?.toLowerCase() === "100-continue" && gathered.bytes().length === 0;
    },
    push(chunk) {
      const room = MAX_KEPT_BYTES - gathered.bytes().length;
      let bytes = gathered.append(chunk.subarray(0, room));
      if (head === null) {
        const read = readHead(bytes);
        if (!read.ok || read.value === null) return read.ok ? ok(null) : read;
        head = read.value;
        bytes = gathered.bytes();
      }
      const body = readBody(bytes, head.framing);
      if (!body.ok) return body;
      if (body.value === null) return chunk.length > room ? err({ status: 413 }) : ok(null);
      const { method, path, minorVersion, headers } = head;
      return ok({ method, path, minorVersion, headers, body: body.value });
    },
  };
}

function parseHead([requestLine = "", ...lines]: readonly string[]): Result<Head, HttpError> {
  const match = /^([A-Z-]{1,32}) (\/[\x21-\x7e]*) HTTP\/([0-9])\.([0-9])$/.exec(requestLine);
  if (match === null) return err({ status: 400 });
  const [, method = "", path = "", major, minor] = match;
  if (major !== "1") return err({ status: 505 });
  const headers = new Map<string, string>();
  for (const line of lines) {
    const name = headerName(line);
    if (name === null) return err({ status: 400 });
    const before = headers.get(name);
    if (before !== undefined && SINGLE.has(name)) return err({ status: 400 });
    const value = line.slice(line.indexOf(":") + 1).trim();
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const framing = framingOf(method, headers);
  if (!framing.ok) return framing;
  return ok({ method, path, minorVersion: minor === "0" ? 0 : 1, headers, framing: framing.value });
}

function framingOf(method: string, headers: ReadonlyMap<string, string>): Result<Framing, HttpError> {
  const length = headers.get("content-length");
  const encoding = headers.get("transfer-encoding")?.toLowerCase();
  if (encoding !== undefined) {
    // RFC 9112 §6.1: a message with both is an attack or an error.
    if (length !== undefined) return err({ status: 400 });
    return encoding === "chunked" ? ok({ kind: "chunked" }) : err({ status: 501 });
  }
  if (length === undefined) return method === "POST" ? err({ status: 411 }) : ok({ kind: "sized", bytes: 0 });
  if (!/^[0-9]{1,15}$/.test(length)) return err({ status: 400 });
  const bytes = Number(length);
  return bytes > MAX_SOAP_BYTES ? err({ status: 413 }) : ok({ kind: "sized", bytes });
}

const STATUS_TEXT = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  411: "Length Required",
  413: "Content Too Large",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
} as const;

export interface HttpResponse {
  readonly status: keyof typeof STATUS_TEXT;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export const HTTP_CONTINUE: Uint8Array = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");

/** The connection ends after it. `withBody: false`: the answer to HEAD. */
export function encodeHttpResponse({ status, headers, body }: HttpResponse, withBody = true): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}`,
    ...headers.map(([name, value]) => `${name}: ${value}`.trimEnd()),
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  if (!withBody) return head;
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
