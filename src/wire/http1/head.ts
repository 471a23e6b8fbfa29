import { err, ok, type Result } from "../result.ts";

/**
 * Heads of HTTP/1 messages (RFC 9112), read as strictly as it allows: what two programs could read differently is
 * refused, because whoever is behind the relay would then see other requests than the relay judged (request smuggling).
 * No bare CR or LF, no folded lines (§5.2), no blank before a colon (§5.1), one blank between the parts of a first line.
 */
export interface Field {
  /** As it was written. */
  readonly name: string;
  readonly value: string;
}

export interface RequestHead {
  readonly method: string;
  /** As it was written: `/path`, `http://host/path`, `*`. */
  readonly target: string;
  /** Of HTTP/1. */
  readonly minor: 0 | 1;
  readonly fields: readonly Field[];
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minor: 0 | 1;
  readonly fields: readonly Field[];
}

export type HeadFault = "malformed" | "too-long" | "version";

/** As nginx and Apache have it, with room for large cookies. */
export const MAX_HEAD_BYTES = 32_768;
const MAX_FIELDS = 200;
const MAX_TARGET_CHARS = 16_384;
const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const HEAD_END_BYTES = 4;
const LEAST_KEPT_BYTES = 1_024;
const NOTHING = new Uint8Array(0);
/** Every byte of ASCII is below it. */
const BEYOND_ASCII = 0x80;

/** ` `, ` HTTP/1.1` and the line's end; `: ` and the line's end. */
const FIRST_LINE_REST_BYTES = 12;
const FIELD_REST_BYTES = 4;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** No control character but the tab (RFC 9110 §5.5). */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const TARGET = /^[\x21-\x7e]+$/;
const REASON = VALUE;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** Finds a head in bytes, which are fed as they come. */
export class HeadReader {
  /** Of a head that did not come at once. */
  #bytes: Uint8Array = NOTHING;
  #length = 0;
  /** How far it was looked at for the end, and all bits of those bytes. */
  #seen = 0;
  #bits = 0;

  /** Nothing of it came yet. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * Null = more bytes are needed. `rest`: what follows the head, a view of `bytes`, or one that is valid until the next call.
   * The reader begins anew after a head.
   */
  feed(bytes: Uint8Array): Result<{ readonly head: string; readonly rest: Uint8Array }, HeadFault> | null {
    // Most come in one piece, and need no copy.
    const whole = this.#length === 0 ? this.#read(bytes, bytes.length) : null;
    if (whole !== null) return whole;
    this.#keep(bytes);
    return this.#read(this.#bytes, this.#length);
  }

  #read(bytes: Uint8Array, length: number): ReturnType<HeadReader["feed"]> {
    const end = this.#findEnd(bytes, length);
    if (end === null) return length > MAX_HEAD_BYTES ? err("too-long") : null;
    if (end === "malformed") return err("malformed");
    if (end > MAX_HEAD_BYTES) return err("too-long");
    const head = textOf(bytes.subarray(0, end - HEAD_END_BYTES), this.#bits);
    this.#length = 0;
    this.#seen = 0;
    this.#bits = 0;
    return ok({ head, rest: bytes.subarray(end, length) });
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length, LEAST_KEPT_BYTES));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** Where the head ends; a line that ends otherwise than in CR LF is malformed. */
  #findEnd(bytes: Uint8Array, length: number): number | "malformed" | null {
    let bits = this.#bits;
    for (let at = this.#seen; at < length; at++) {
      const byte = bytes[at] as number;
      bits |= byte;
      if (byte === LF) {
        if (bytes[at - 1] !== CR) return "malformed";
        if (at === 1 || (bytes[at - 2] === LF && bytes[at - 3] === CR)) {
          this.#bits = bits;
          // An empty line before anything else is no head.
          return at === 1 ? "malformed" : at + 1;
        }
      } else if (at > 0 && bytes[at - 1] === CR) {
        return "malformed";
      }
    }
    this.#seen = length;
    this.#bits = bits;
    return null;
  }
}

/** `head`: without its empty line at the end. */
export function parseRequestHead(head: string): Result<RequestHead, HeadFault> {
  const { first, rest } = firstLine(head);
  const [method = "", target = "", version = "", ...more] = first.split(" ");
  if (more.length > 0 || !TOKEN.test(method) || !TARGET.test(target)) return err("malformed");
  if (target.length > MAX_TARGET_CHARS) return err("too-long");
  const minor = minorOf(version);
  if (minor === null) return err(/^HTTP\/\d\.\d$/.test(version) ? "version" : "malformed");
  const fields = parseFields(rest);
  return fields.ok ? ok({ method, target, minor, fields: fields.value }) : fields;
}

/**
 * A head that came in parts, as HTTP/2 carries it: refused if it would be read as another one when it is written. What it
 * allows is what `parseRequestHead` makes of `encodeRequestHead`.
 */
export function checkRequestHead({ method, target, minor, fields }: RequestHead): Result<RequestHead, HeadFault> {
  if (!TOKEN.test(method) || !TARGET.test(target)) return err("malformed");
  if (target.length > MAX_TARGET_CHARS || fields.length > MAX_FIELDS) return err("too-long");
  let bytes = method.length + target.length + FIRST_LINE_REST_BYTES + HEAD_END_BYTES / 2;
  const checked: Field[] = [];
  for (const { name, value } of fields) {
    if (!TOKEN.test(name) || !VALUE.test(value)) return err("malformed");
    bytes += name.length + value.length + FIELD_REST_BYTES;
    checked.push({ name, value: trimmed(value) });
  }
  return bytes > MAX_HEAD_BYTES ? err("too-long") : ok({ method, target, minor, fields: checked });
}

export function parseResponseHead(head: string): Result<ResponseHead, HeadFault> {
  const { first, rest } = firstLine(head);
  const match = /^(HTTP\/1\.[01]) ([1-9]\d\d)(?: (.*))?$/.exec(first);
  const minor = minorOf(match?.[1] ?? "");
  const reason = match?.[3] ?? "";
  if (match === null || minor === null || !REASON.test(reason)) return err("malformed");
  const fields = parseFields(rest);
  return fields.ok ? ok({ status: Number(match[2]), reason, minor, fields: fields.value }) : fields;
}

/** Null = it is no field line: also what may stand behind a chunked body (RFC 9112 §7.1.2). */
export function parseField(line: string): Field | null {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  const value = trimmed(line.slice(colon + 1));
  return colon > 0 && TOKEN.test(name) && VALUE.test(value) ? { name, value } : null;
}

export function encodeRequestHead({ method, target, minor, fields }: RequestHead): Uint8Array {
  return encodeHead(`${method} ${target} HTTP/1.${minor}`, fields);
}

export function encodeResponseHead({ status, reason, minor, fields }: ResponseHead): Uint8Array {
  return encodeHead(`HTTP/1.${minor} ${status} ${reason}`, fields);
}

/** The values of a field, in their order; `name` in lower case. */
export function valuesOf(fields: readonly Field[], name: string): readonly string[] {
  const values: string[] = [];
  for (const field of fields) {
    if (field.name.length === name.length && field.name.toLowerCase() === name) values.push(field.value);
  }
  return values;
}

/** The members of a list field (RFC 9110 §5.6.1), in lower case. */
export function membersOf(fields: readonly Field[], name: string): readonly string[] {
  const values = valuesOf(fields, name);
  if (values.length === 0) return values;
  return values
    .flatMap((value) => value.split(","))
    .map((member) => trimmed(member).toLowerCase())
    .filter((member) => member !== "");
}

/** Without the blanks around it: other white space is a part of it, and malformed. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function encodeHead(first: string, fields: readonly Field[]): Uint8Array {
  let text = `${first}\r\n`;
  for (const { name, value } of fields) text += `${name}: ${value}\r\n`;
  text += "\r\n";
  const ascii = ENCODER.encode(text);
  if (ascii.length === text.length) return ascii;
  // A byte for each letter (ISO 8859-1), as it came.
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function firstLine(head: string): { readonly first: string; readonly rest: string | null } {
  const end = head.indexOf("\r\n");
  return end < 0 ? { first: head, rest: null } : { first: head.slice(0, end), rest: head.slice(end + 2) };
}

function parseFields(text: string | null): Result<readonly Field[], HeadFault> {
  if (text === null) return ok([]);
  const lines = text.split("\r\n");
  if (lines.length > MAX_FIELDS) return err("too-long");
  const fields: Field[] = [];
  for (const line of lines) {
    const field = parseField(line);
    if (field === null) return err("malformed");
    fields.push(field);
  }
  return ok(fields);
}

function minorOf(version: string): 0 | 1 | null {
  if (version === "HTTP/1.1") return 1;
  return version === "HTTP/1.0" ? 0 : null;
}

/** A letter for each byte (ISO 8859-1). `bits`: all that are set in any of them. */
function textOf(bytes: Uint8Array, bits: number): string {
  if (bits < BEYOND_ASCII) return DECODER.decode(bytes);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
