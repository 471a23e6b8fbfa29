import { newGather } from "../gather.ts";
import { err, ok, type Result } from "../result.ts";

/** What the requests and the replies of HTTP/1.x have in common: lines (RFC 9112 §2.2) and chunked bodies (§7.1). */

export const LF = 0x0a;
const CR = 0x0d;
const HTAB = 0x09;
const SPACE = 0x20;
const DEL = 0x7f;
const MAX_CHUNK_LINE_BYTES = 256;
/** With its framing a chunked body is this many times its content at most, so that small chunks fit. */
const FRAMING_FACTOR = 8;

/** The line before the LF at `lf`, one character a byte; null when there is a control character in it. */
export function lineText(bytes: Uint8Array, start: number, lf: number): string | null {
  // RFC 9112 §2.2 allows a bare LF; with one message a connection nothing can be smuggled behind it.
  const end = lf > start && bytes[lf - 1] === CR ? lf - 1 : lf;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte < SPACE && byte !== HTAB) || byte === DEL) return null;
  }
  return String.fromCharCode(...bytes.subarray(start, end));
}

/** Of a header line, in lower case; null when the line is none. */
export function headerName(line: string): string | null {
  const name = line.slice(0, Math.max(0, line.indexOf(":"))).toLowerCase();
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) ? name : null;
}

export function maxChunkedBytes(maxBodyBytes: number): number {
  return FRAMING_FACTOR * maxBodyBytes;
}

export type ChunkError = "malformed" | "too-long";

export interface ChunkReader {
  /** Takes everything so far of a chunked body, and goes on where it stopped; null = more is needed. */
  read(bytes: Uint8Array): Result<Uint8Array | null, ChunkError>;
  /** The content that is in `bytes`, everything so far, when nothing follows: the last chunk may be cut. */
  soFar(bytes: Uint8Array): Uint8Array;
}

export function newChunkReader(maxBodyBytes: number): ChunkReader {
  const body = newGather();
  /** Where the line or the chunk begins that is not whole yet. */
  let at = 0;
  let scanned = 0;
  /** Of the chunk at `at`; null = its size is not read yet. */
  let chunkBytes: number | null = null;
  let trailers = false;
  /** What follows the end changes nothing. */
  let whole: Uint8Array | null = null;

  function read(bytes: Uint8Array): Result<Uint8Array | null, ChunkError> {
    while (whole === null) {
      if (bytes.length > maxChunkedBytes(maxBodyBytes)) return err("too-long");
      if (chunkBytes !== null && bytes.length < at + chunkBytes) return ok(null);
      const lineStart: number = at + (chunkBytes ?? 0);
      const lf = bytes.indexOf(LF, Math.max(scanned, lineStart));
      scanned = lf < 0 ? bytes.length : lf + 1;
      if ((lf < 0 ? bytes.length : lf) - lineStart > MAX_CHUNK_LINE_BYTES) return err("malformed");
      if (lf < 0) return ok(null);
      const line = lineText(bytes, lineStart, lf);
      if (line === null) return err("malformed");
      if (chunkBytes !== null) {
        // The line end behind the chunk's bytes.
        if (line !== "") return err("malformed");
        body.append(bytes.subarray(at, at + chunkBytes));
        chunkBytes = null;
      } else if (trailers) {
        if (line === "") whole = body.bytes().slice();
      } else {
        const size = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?$/.exec(line);
        if (size === null) return err("malformed");
        const wanted = Number.parseInt(size[1] ?? "", 16);
        if (body.bytes().length + wanted > maxBodyBytes) return err("too-long");
        if (wanted === 0) trailers = true;
        else chunkBytes = wanted;
      }
      at = lf + 1;
    }
    return ok(whole);
  }

  return {
    read,
    soFar(bytes) {
      const cut = chunkBytes === null ? new Uint8Array(0) : bytes.subarray(at, at + chunkBytes);
      const whole = new Uint8Array(body.bytes().length + cut.length);
      whole.set(body.bytes());
      whole.set(cut, body.bytes().length);
      return whole;
    },
  };
}
