import { err, ok, type Result } from "../result.ts";
import { membersOf, parseField, type RequestHead, type ResponseHead, valuesOf } from "./head.ts";

/** How long a message's content is (RFC 9112 §6). */
export type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  /** Responses only: until the connection ends. */
  | { readonly kind: "until-close" };

export type FramingFault = "both-lengths" | "bad-length" | "bad-coding";

const NOTHING: Framing = { kind: "length", bytes: 0 };
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;
const FIRST_FINAL = 200;

/** A request that could be read as two different ones is refused (§6.3, §11.2). */
export function requestFraming({ fields, minor }: RequestHead): Result<Framing, FramingFault> {
  const framing = framingOf(fields);
  if (!framing.ok) return framing;
  if (framing.value === null) return ok(NOTHING);
  // §6.1: a transfer coding in HTTP/1.0 is faulty.
  return framing.value.kind === "chunked" && minor === 0 ? err("bad-coding") : ok(framing.value);
}

/** `method`: of the request that is answered. */
export function responseFraming({ status, fields }: ResponseHead, method: string): Result<Framing, FramingFault> {
  const framing = framingOf(fields);
  if (!framing.ok) return framing;
  if (method === "HEAD" || status < FIRST_FINAL || status === NO_CONTENT || status === NOT_MODIFIED) return ok(NOTHING);
  return ok(framing.value ?? { kind: "until-close" });
}

/** Null = the message does not say. */
function framingOf(fields: RequestHead["fields"]): Result<Framing | null, FramingFault> {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (codings.length > 0 && lengths.length > 0) return err("both-lengths");
  if (codings.length > 0) {
    const members = membersOf(fields, "transfer-encoding");
    return codings.length === 1 && members.length === 1 && members[0] === "chunked"
      ? ok({ kind: "chunked" })
      : err("bad-coding");
  }
  if (lengths.length === 0) return ok(null);
  const [length = ""] = lengths;
  // 15 digits are a petabyte, and exact.
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length)) return err("bad-length");
  return ok({ kind: "length", bytes: Number(length) });
}

const CR = 13;
const LF = 10;
const ZERO = 48;
/** Of a chunk's size with its extensions, or of a line behind the last chunk. */
const MAX_LINE_BYTES = 1_024;
const MAX_TRAILERS = 64;
/** `size [; extensions]`: 13 digits are exact. Extensions hold no control characters: a bare CR or LF is a line's end to some. */
const CHUNK_LINE = /^([0-9A-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

/** One chunk (§7.1), as whoever hands content on writes it: without extensions, its size in one form. */
export function encodeChunk(content: Uint8Array): Uint8Array {
  if (content.length === 0) return new Uint8Array(0);
  const size = `${content.length.toString(16)}\r\n`;
  const bytes = new Uint8Array(size.length + content.length + 2);
  for (let at = 0; at < size.length; at++) bytes[at] = size.charCodeAt(at);
  bytes.set(content, size.length);
  bytes.set([CR, LF], size.length + content.length);
  return bytes;
}

/** The end of chunked content, without trailers. */
export function encodeLastChunk(): Uint8Array {
  return Uint8Array.of(ZERO, CR, LF, CR, LF);
}

/** Finds content, and its end, in the bytes of a message. */
export class BodyReader {
  #left: number;
  #state: "data" | "size" | "data-end" | "trailer" | "until-close" | "done";
  readonly #chunked: boolean;
  #line = "";
  #trailers = 0;

  constructor(framing: Framing) {
    this.#chunked = framing.kind === "chunked";
    this.#left = framing.kind === "length" ? framing.bytes : 0;
    switch (framing.kind) {
      case "length":
        this.#state = framing.bytes === 0 ? "done" : "data";
        break;
      case "chunked":
        this.#state = "size";
        break;
      case "until-close":
        this.#state = "until-close";
        break;
      default:
        framing satisfies never;
        this.#state = "done";
    }
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  get isChunked(): boolean {
    return this.#chunked;
  }

  /** Its end is the connection's. */
  get isOpenEnded(): boolean {
    return this.#state === "until-close";
  }

  /** How many of the bytes belong to it. `onData` gets the content itself, in views of `bytes`. */
  feed(bytes: Uint8Array, onData: (content: Uint8Array) => void = ignore): Result<number, "malformed"> {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "until-close") {
        onData(bytes.subarray(at));
        return ok(bytes.length);
      }
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#left);
        onData(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = this.#chunked ? "data-end" : "done";
        continue;
      }
      const byte = bytes[at] as number;
      at += 1;
      if (!this.#lineByte(byte)) return err("malformed");
    }
    return ok(at);
  }

  /** Of a line between the chunks; false = it is malformed. */
  #lineByte(byte: number): boolean {
    const endsInCr = this.#line.endsWith("\r");
    if (byte !== LF) {
      if (endsInCr || this.#line.length >= (this.#state === "data-end" ? 1 : MAX_LINE_BYTES)) return false;
      if (this.#state === "data-end" && byte !== CR) return false;
      this.#line += String.fromCharCode(byte);
      return true;
    }
    if (!endsInCr) return false;
    const line = this.#line.slice(0, -1);
    this.#line = "";
    return this.#takeLine(line);
  }

  #takeLine(line: string): boolean {
    switch (this.#state) {
      case "size": {
        const size = CHUNK_LINE.exec(line)?.[1];
        if (size === undefined) return false;
        this.#left = Number.parseInt(size, 16);
        this.#state = this.#left === 0 ? "trailer" : "data";
        return true;
      }
      case "data-end":
        this.#state = "size";
        return line === "";
      case "trailer":
        if (line === "") {
          this.#state = "done";
          return true;
        }
        this.#trailers += 1;
        return this.#trailers <= MAX_TRAILERS && parseField(line) !== null;
      case "data":
      case "until-close":
      case "done":
        return false;
      default:
        return this.#state satisfies never;
    }
  }
}

function ignore(): void {}
