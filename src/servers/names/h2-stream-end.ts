import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { JudgedRequest, RequestRefusal } from "../../core/names/request.ts";
import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { PausedReading } from "../../dataplanes/io/paused-reading.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { BodyReader, encodeChunk, encodeLastChunk, responseFraming } from "../../wire/http1/body.ts";
import {
  encodeRequestHead,
  HeadReader,
  membersOf,
  parseResponseHead,
  type ResponseHead,
  valuesOf,
} from "../../wire/http1/head.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { H2Outlet } from "./h2-outlet.ts";
import type { H2Wire } from "./h2-wire.ts";
import { CONTENT_MS, pageFields, pageText, refusalOf, UNFINISHED } from "./page.ts";

const FIRST_FINAL = 200;
const SWITCHING = 101;
const NOTHING = new Uint8Array(0);
/** Of HTTP/1's connections: HTTP/2 has none of them (RFC 9113 §8.2.2). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** It alone may not become one line with another of its name (RFC 9110 §5.3). */
const SET_COOKIE = "set-cookie";

/** Asking for them twice is as asking once (RFC 9110 §9.2.1). */
const SAFE = ["GET", "HEAD", "OPTIONS"];
/** Whose content every service reads. Some take what comes with a GET for the next request. */
const WITH_CONTENT = ["POST", "PUT", "PATCH"];

/** A stream of a visitor who speaks HTTP/2, as one request of HTTP/1.1 and its answer: `onClose` comes when both are whole. */
export class H2StreamEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  readonly #stream: ServerHttp2Stream;
  readonly #outlet: H2Outlet;
  readonly #reading: PausedReading;
  readonly #request: JudgedRequest;
  readonly #heads = new HeadReader();
  #answer: BodyReader | null = null;
  /** Of a request that says how long it is. */
  #left: number | null;
  /** Its content is whole; and some of it came since it was looked at. */
  #asked = false;
  #came = true;
  #cameMs = 0;
  /** The visitor was sent all of the answer. */
  #whole = false;
  /** It has been sent to the service; and bytes came back. */
  #begun = false;
  #heard = false;
  #repeated = false;
  /** The service does not close its connection after this answer. */
  #keeps = false;
  #isFollowed = false;
  #closed = false;

  constructor(stream: ServerHttp2Stream, wire: H2Wire, request: JudgedRequest) {
    this.#stream = stream;
    this.#outlet = new H2Outlet(stream, wire);
    this.#reading = new PausedReading(stream);
    this.#request = request;
    this.#left = request.framing.kind === "length" ? request.framing.bytes : null;
  }

  /** The visitor went, or has its answer. */
  get isGone(): boolean {
    return this.#closed || this.#stream.destroyed;
  }

  /** It has no content, and may be asked for twice. */
  get isSafe(): boolean {
    return SAFE.includes(this.#request.head.method) && this.#isEmpty && this.#stream.endAfterHeaders;
  }

  /** The service may not have heard of it: it was asked once, and nothing came back. */
  get mayRepeat(): boolean {
    return this.isSafe && !this.#heard && !this.#repeated && !this.isGone;
  }

  /** After it is over: the connection is as it was before, and may have another request. */
  get isFollowed(): boolean {
    return this.#isFollowed;
  }

  get #isEmpty(): boolean {
    const { framing } = this.#request;
    return framing.kind === "length" && framing.bytes === 0;
  }

  repeats(): void {
    this.#repeated = true;
  }

  /** On a connection where nothing else is asked: its `sink`. */
  ask(): void {
    this.sink.onData(encodeRequestHead(this.#request.head));
    if (this.#begun) return;
    this.#begun = true;
    const stream = this.#stream;
    if (stream.endAfterHeaders && this.#left === 0) this.#asked = true;
    stream.on("data", (bytes: Uint8Array) => this.#content(bytes));
    stream.on("end", () => this.#ended());
    this.#outlet.onDrain = (queuedBytes) => this.sink.onDrain(queuedBytes);
    stream.on("error", () => undefined);
    // Whatever its code says: a visitor who goes before it has the whole answer must not leave the service talking to nobody.
    stream.on("close", () => this.#finish(this.#whole && stream.writableFinished ? null : "reset"));
  }

  /** Now and then. */
  look(nowMs: number): void {
    const isAwaited = this.#begun && !this.#asked && this.#answer === null && !this.#reading.isPaused;
    if (this.#came || !isAwaited) {
      this.#came = false;
      this.#cameMs = nowMs;
    } else if (nowMs - this.#cameMs >= CONTENT_MS && !this.#closed) {
      sayOn(this.#stream, UNFINISHED, this.#request.head.method);
      this.#finish("idle");
    }
  }

  #content(bytes: Uint8Array): void {
    this.#came = true;
    if (this.#closed) return;
    if (this.#left === null) {
      if (bytes.length > 0) this.sink.onData(encodeChunk(bytes));
      return;
    }
    this.#left -= bytes.length;
    // More than it said would be another request to the service (RFC 9113 §8.1.1).
    if (this.#left < 0) this.#fail("protocolError");
    else this.sink.onData(bytes);
  }

  #ended(): void {
    this.#asked = true;
    if (this.#closed) return;
    if (this.#left === null) this.sink.onData(encodeLastChunk());
    else if (this.#left > 0) this.#fail("protocolError");
  }

  write(bytes: Uint8Array): number {
    this.#heard = true;
    let left = bytes;
    while (left.length > 0 && !this.#closed && !this.#stream.destroyed) {
      if (this.#answer === null) {
        const head = this.#heads.feed(left);
        if (head === null) return 0;
        const parsed = head.ok ? parseResponseHead(head.value.head) : head;
        if (!head.ok || !parsed.ok || !this.#begins(parsed.value)) {
          this.#fail("protocolError");
          return 0;
        }
        left = head.value.rest;
        continue;
      }
      if (this.#answer.isDone) break;
      const pieces: Uint8Array[] = [];
      const taken = this.#answer.feed(left, (piece) => void pieces.push(piece));
      if (!taken.ok) {
        this.#fail("protocolError");
        return 0;
      }
      left = left.subarray(taken.value);
      const last = this.#answer.isDone ? (pieces.pop() ?? NOTHING) : null;
      for (const piece of pieces) this.#outlet.write(piece);
      if (last !== null) this.#endOf(last);
    }
    if (this.#whole) this.#over(left.length === 0);
    return this.#outlet.queuedBytes;
  }

  /** The answer is whole. `isLast`: nothing came behind it. */
  #over(isLast: boolean): void {
    if (!isLast) this.#keeps = false;
    // It came before the end of the request: the service has to read that, or to do without.
    if (!this.#asked || this.#closed) return;
    this.#isFollowed = this.#keeps;
    this.#finish(null);
  }

  /** False: it is no answer to this request. */
  #begins(head: ResponseHead): boolean {
    const { status } = head;
    if (status === SWITCHING) return false;
    const headers = fieldsOf(head);
    headers[":status"] = status;
    if (status < FIRST_FINAL) {
      return taken(() => this.#stream.additionalHeaders(headers));
    }
    const framing = responseFraming(head, this.#request.head.method);
    if (!framing.ok) return false;
    const answer = new BodyReader(framing.value);
    if (!taken(() => this.#stream.respond(headers, { endStream: answer.isDone }))) return false;
    this.#answer = answer;
    this.#keeps = this.#isKept(head, answer);
    if (answer.isDone) this.#whole = true;
    return true;
  }

  /** Whether both sides are sure where this answer ends, and that the service goes on after it. */
  #isKept({ minor, fields }: ResponseHead, answer: BodyReader): boolean {
    const { head } = this.#request;
    if (minor === 0 || answer.isOpenEnded || membersOf(fields, "connection").includes("close")) return false;
    if (!this.#isEmpty && !WITH_CONTENT.includes(head.method)) return false;
    // Who did not want the content may not read it either (RFC 9110 §10.1.1).
    if (valuesOf(head.fields, "expect").length > 0) return false;
    // Content that is announced where there can be none (HEAD, 204, 304) may come all the same.
    const announces =
      valuesOf(fields, "transfer-encoding").length > 0 ||
      valuesOf(fields, "content-length").some((length) => Number(length) !== 0);
    return !(answer.isDone && announces);
  }

  /** `last`: of its content. */
  #endOf(last: Uint8Array): void {
    this.#whole = true;
    this.#outlet.end(last);
    stopUpload(this.#stream);
  }

  backlog(queuedBytes: number): void {
    this.#reading.backlog(queuedBytes);
  }

  /** The service sends no more. */
  end(): void {
    if (this.#closed) return;
    if (this.#answer === null) this.reset("reset");
    else if (this.#answer.isOpenEnded) this.#endOf(NOTHING);
    else if (!this.#answer.isDone) this.reset("reset");
  }

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    if (this.#answer === null) sayOn(this.#stream, refusalOf(reason), this.#request.head.method);
    else if (!this.#answer.isDone) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.#finish(reason);
  }

  #fail(reason: ReasonName): void {
    this.reset(reason);
  }

  #finish(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    if (reason === null) sink.onEnd();
    sink.onClose(reason);
  }
}

/**
 * Node throws for a field that HTTP/2 does not have, whoever sent it, and for a stream that has just ended: neither may
 * end more than this stream. False = it was not taken.
 */
export function taken(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}

/** An answer of the relay's own to a request of this method. */
export function sayOn(
  stream: ServerHttp2Stream,
  { status, sentence }: RequestRefusal,
  method: string | undefined,
): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.on("error", () => undefined);
  const fields = pageFields(status).map(({ name, value }) => [name.toLowerCase(), value]);
  const headers = { ":status": status, ...Object.fromEntries(fields) };
  const endStream = method === "HEAD";
  if (!taken(() => stream.respond(headers, { endStream }))) return;
  if (!endStream) stream.end(pageText(sentence));
  stopUpload(stream);
  // What the visitor still sends is read and forgotten.
  stream.resume();
}

/** A whole answer before the end of the request: the visitor is asked to send no more (RFC 9113 §8.1). */
function stopUpload(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.endAfterHeaders) return;
  stream.on("finish", () => {
    if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

/** Without those of the connection; each name once. */
function fieldsOf({ fields }: ResponseHead): OutgoingHttpHeaders {
  const ofConnection = membersOf(fields, "connection");
  // With no prototype: a field may be called `constructor`.
  const headers: OutgoingHttpHeaders = Object.create(null);
  for (const { name, value } of fields) {
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key) || ofConnection.includes(key)) continue;
    const before = headers[key];
    if (before === undefined) headers[key] = key === SET_COOKIE ? [value] : value;
    else if (Array.isArray(before)) before.push(value);
    else headers[key] = `${before}, ${value}`;
  }
  return headers;
}
