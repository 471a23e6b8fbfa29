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
} from "../../wire/http1/head.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { H2Outlet } from "./h2-outlet.ts";
import type { H2Wire } from "./h2-wire.ts";
import { CONTENT_MS, pageFields, pageText, refusalOf, UNFINISHED } from "./page.ts";

const FIRST_FINAL = 200;
const SWITCHING = 101;
/** Of HTTP/1's connections: HTTP/2 has none of them (RFC 9113 §8.2.2). */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/** A stream of a visitor who speaks HTTP/2, as a connection of HTTP/1.1 with one request: the visitor of a join. */
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
  #closed = false;

  constructor(stream: ServerHttp2Stream, wire: H2Wire, request: JudgedRequest) {
    this.#stream = stream;
    this.#outlet = new H2Outlet(stream, wire);
    this.#reading = new PausedReading(stream);
    this.#request = request;
    this.#left = request.framing.kind === "length" ? request.framing.bytes : null;
  }

  /** After the join. */
  begin(): void {
    const stream = this.#stream;
    // One request a connection: what would be a second one cannot be.
    const fields = [...this.#request.head.fields, { name: "Connection", value: "close" }];
    this.sink.onData(encodeRequestHead({ ...this.#request.head, fields }));
    stream.on("data", (bytes: Uint8Array) => this.#content(bytes));
    stream.on("end", () => this.#ended());
    this.#outlet.onDrain = (queuedBytes) => this.sink.onDrain(queuedBytes);
    stream.on("error", () => undefined);
    // Whatever its code says: a visitor who goes before it has the whole answer must not leave the service talking to nobody.
    stream.on("close", () => this.#finish(this.#whole && stream.writableFinished ? null : "reset"));
  }

  /** Now and then. */
  look(nowMs: number): void {
    const isAwaited = !this.#asked && this.#answer === null && !this.#reading.isPaused;
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
      if (this.#answer.isDone) return 0;
      const taken = this.#answer.feed(left, (content) => void this.#outlet.write(content));
      if (!taken.ok) {
        this.#fail("protocolError");
        return 0;
      }
      left = left.subarray(taken.value);
      if (this.#answer.isDone) this.#endOf();
    }
    return this.#outlet.queuedBytes;
  }

  /** False: it is no answer to this request. */
  #begins(head: ResponseHead): boolean {
    const { status } = head;
    if (status === SWITCHING) return false;
    if (status < FIRST_FINAL) {
      return taken(() => this.#stream.additionalHeaders({ ...fieldsOf(head), ":status": status }));
    }
    const framing = responseFraming(head, this.#request.head.method);
    if (!framing.ok) return false;
    const answer = new BodyReader(framing.value);
    const headers = { ...fieldsOf(head), ":status": status };
    if (!taken(() => this.#stream.respond(headers, { endStream: answer.isDone }))) return false;
    this.#answer = answer;
    if (answer.isDone) this.#whole = true;
    return true;
  }

  #endOf(): void {
    this.#whole = true;
    this.#stream.end();
    stopUpload(this.#stream);
  }

  backlog(queuedBytes: number): void {
    this.#reading.backlog(queuedBytes);
  }

  /** The service sends no more. */
  end(): void {
    if (this.#answer === null) this.reset("reset");
    else if (this.#answer.isOpenEnded) this.#endOf();
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

function fieldsOf({ fields }: ResponseHead): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = {};
  const ofConnection = [...HOP_BY_HOP, ...membersOf(fields, "connection")];
  for (const { name, value } of fields) {
    const key = name.toLowerCase();
    if (!ofConnection.includes(key)) headers[key] = [...(headers[key] ?? []), value];
  }
  return Object.fromEntries(
    Object.entries(headers).map(([key, values]) => [key, key === "set-cookie" ? values : values.join(", ")]),
  );
}
