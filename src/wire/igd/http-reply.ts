import { formatHostPort } from "../endpoint.ts";
import { newGather } from "../gather.ts";
import { err, ok, type Result } from "../result.ts";
import { type ChunkReader, headerName, LF, lineText, maxChunkedBytes, newChunkReader } from "./http-framing.ts";
import { HTTP_PORT, type HttpUrl } from "./http-url.ts";

/** HTTP/1.x as a control point speaks it: one request a connection, and whatever routers answer. */
export interface HttpReply {
  readonly status: number;
  /** By name in lower case; lines that are no headers are left out. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export type HttpReplyError =
  /** The first line is not that of an HTTP reply. */
  | { readonly kind: "not-http" }
  /** Over MAX_REPLY_HEAD_BYTES, the interim replies before it included. */
  | { readonly kind: "head-too-long" }
  | { readonly kind: "body-too-long" }
  /** A chunked body that breaks RFC 9112 §7.1. */
  | { readonly kind: "chunk" }
  /** The connection ended before the head did. */
  | { readonly kind: "truncated" };

/** Reads one reply that arrives in pieces. After an error it is spent. */
export interface HttpReplyReader {
  /**
   * Null = more bytes are needed. A reply = its framing says that this is all; the body is what Content-Length says,
   * which some routers count wrongly: who cannot use it may go on pushing, and end.
   */
  push(chunk: Uint8Array): Result<HttpReply | null, HttpReplyError>;
  /**
   * The connection ended, or nothing comes any more: the body is all that came, whatever was announced. There are routers
   * that send fewer bytes than they say, none of the last chunk, or no length at all.
   */
  end(): Result<HttpReply, HttpReplyError>;
}

/** The longest head of a known router has 500 bytes. */
export const MAX_REPLY_HEAD_BYTES = 8192;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
}

type Framing =
  | { readonly kind: "sized"; readonly bytes: number }
  | { readonly kind: "chunked"; readonly chunks: ChunkReader }
  | { readonly kind: "until-close" };

export function newHttpReplyReader({ maxBodyBytes }: { readonly maxBodyBytes: number }): HttpReplyReader {
  const gathered = newGather();
  let lines: string[] = [];
  let scanned = 0;
  let lineStart = 0;
  let headBytes = 0;
  let head: Head | null = null;
  let failed: HttpReplyError | null = null;

  function fail(error: HttpReplyError): { readonly ok: false; readonly error: HttpReplyError } {
    failed = error;
    return err(error);
  }

  /** Ok(null) = the head is not whole yet. */
  function readHead(): Result<Head | null, HttpReplyError> {
    for (;;) {
      const bytes = gathered.bytes().subarray(0, MAX_REPLY_HEAD_BYTES - headBytes);
      const lf = bytes.indexOf(LF, scanned);
      if (lf < 0) {
        scanned = bytes.length;
        return bytes.length + headBytes < MAX_REPLY_HEAD_BYTES ? ok(null) : err({ kind: "head-too-long" });
      }
      const line = lineText(bytes, lineStart, lf);
      scanned = lf + 1;
      lineStart = lf + 1;
      // Empty lines before the reply are passed over, as in requests (RFC 9112 §2.2).
      if (line === "" && lines.length === 0) continue;
      if (lines.length === 0 && statusOf(line) === null) return err({ kind: "not-http" });
      if (line !== "") {
        // What is no header line is none of ours: a router's mistake in a header that nobody reads must not cost the reply.
        lines.push(line ?? "");
        continue;
      }
      const [statusLine = "", ...headerLines] = lines;
      const status = statusOf(statusLine) ?? 0;
      headBytes += lineStart;
      gathered.consume(lineStart);
      lines = [];
      scanned = 0;
      lineStart = 0;
      // RFC 9110 §15.2: an interim reply, 100 Continue say, comes before the one that counts.
      if (status < 200) continue;
      const headers = readHeaders(headerLines);
      return ok({ status, headers, framing: framingOf(status, headers, maxBodyBytes) });
    }
  }

  function reply({ status, headers }: Head, body: Uint8Array): HttpReply {
    return { status, headers, body: body.slice() };
  }

  return {
    push(chunk) {
      if (failed !== null) return err(failed);
      // What is over both limits is never kept.
      const most = MAX_REPLY_HEAD_BYTES + maxChunkedBytes(maxBodyBytes) + 1;
      gathered.append(chunk.subarray(0, Math.max(0, most - gathered.bytes().length)));
      if (head === null) {
        const read = readHead();
        if (!read.ok) return fail(read.error);
        if (read.value === null) return ok(null);
        head = read.value;
      }
      const bytes = gathered.bytes();
      const { framing } = head;
      switch (framing.kind) {
        case "chunked": {
          const body = framing.chunks.read(bytes);
          if (!body.ok) return fail({ kind: body.error === "too-long" ? "body-too-long" : "chunk" });
          return ok(body.value === null ? null : reply(head, body.value));
        }
        case "sized":
          if (framing.bytes > maxBodyBytes || bytes.length > maxBodyBytes) return fail({ kind: "body-too-long" });
          return ok(bytes.length < framing.bytes ? null : reply(head, bytes.subarray(0, framing.bytes)));
        case "until-close":
          return bytes.length > maxBodyBytes ? fail({ kind: "body-too-long" }) : ok(null);
        default:
          return framing satisfies never;
      }
    },
    end() {
      if (failed !== null) return err(failed);
      if (head === null) return err({ kind: "truncated" });
      const bytes = gathered.bytes();
      return ok(reply(head, head.framing.kind === "chunked" ? head.framing.chunks.soFar(bytes) : bytes));
    },
  };
}

/** Null = not the first line of a reply. */
function statusOf(line: string | null): number | null {
  const match = /^HTTP\/[0-9](?:\.[0-9])? +([1-9][0-9]{2})(?: .*)?$/.exec(line ?? "");
  return match === null ? null : Number(match[1]);
}

function readHeaders(lines: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const name = headerName(line);
    if (name === null) continue;
    const value = line.slice(line.indexOf(":") + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** A length that cannot be read is none: what comes until the end is judged by what it says. */
function framingOf(status: number, headers: ReadonlyMap<string, string>, maxBodyBytes: number): Framing {
  if (status === NO_CONTENT || status === NOT_MODIFIED) return { kind: "sized", bytes: 0 };
  // RFC 9112 §6.3: with both, Transfer-Encoding counts.
  if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") {
    return { kind: "chunked", chunks: newChunkReader(maxBodyBytes) };
  }
  const length = headers.get("content-length") ?? "";
  return /^[0-9]{1,15}$/.test(length) ? { kind: "sized", bytes: Number(length) } : { kind: "until-close" };
}

export interface HttpCall {
  readonly method: "GET" | "POST";
  readonly url: HttpUrl;
  /** Besides Host, Connection and, with a body, Content-Length. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Empty in a GET. */
  readonly body: Uint8Array;
}

function formatHost(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

export function encodeHttpRequest({ method, url, headers, body }: HttpCall): Uint8Array {
  const lines = [
    `${method} ${url.path} HTTP/1.1`,
    // A number: routers refuse names (DNS rebinding).
    `Host: ${url.port === HTTP_PORT ? formatHost(url.address) : formatHostPort(url.address, url.port)}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(method === "POST" ? [`Content-Length: ${body.length}`] : []),
    "Connection: close",
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
