import type { JudgedRequest, RequestRefusal } from "../../core/names/request.ts";
import { type ByteEnd, type ByteSink, HOLD_BYTES } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import { BodyReader, encodeChunk, encodeLastChunk, responseFraming } from "../../wire/http1/body.ts";
import {
  encodeRequestHead,
  encodeResponseHead,
  type HeadFault,
  HeadReader,
  membersOf,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
  type ResponseHead,
} from "../../wire/http1/head.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Result } from "../../wire/result.ts";
import type { Clients, Impatient } from "../proxy/clients.ts";
import { CONTENT_MS, pageBytes, refusalOf, UNFINISHED } from "./page.ts";

/** Between two requests of one connection. */
const KEEP_ALIVE_MS = 75_000;
const SWITCHING = 101;
const FIRST_FINAL = 200;
/** Of a record of TLS (RFC 8446 §5.1): above it, sending at once what came at once spares nothing. */
const JOINED_BYTES = 16_384;
const NOTHING = new Uint8Array(0);

export type Judgement = Result<JudgedRequest, RequestRefusal>;
/** Judges a request of a connection; that takes a while where a password is to be checked. */
export type JudgeRequest = (head: RequestHead) => Judgement | Promise<Judgement>;

/** A request that is not answered yet. */
interface Asked {
  readonly method: string;
  readonly minor: 0 | 1;
  readonly upgrades: boolean;
  readonly closes: boolean;
}

/**
 * A visitor who speaks HTTP/1, as the visitor of a join: each request is judged and written anew, and answered before the
 * next one is read, so that it is known where each begins and ends. After `101 Switching Protocols` both sides' bytes pass.
 */
export class Http1Front implements ByteEnd, ByteSink, Impatient {
  sink: ByteSink = SILENT_SINK;
  readonly #requests = new HeadReader();
  readonly #responses = new HeadReader();
  #asked: Asked | null = null;
  /** What is left of the request, and of its answer. */
  #content: BodyReader | null = null;
  #answer: BodyReader | null = null;
  #answerBegan = false;
  /** The head of the answer, before its content: both in one call of the system spare a small answer a third of its cost. */
  #head: Uint8Array | null = null;
  /** Both sides speak another protocol now. */
  #raw = false;
  /** Came before it was its turn; reading is paused, so it is little. */
  #held: Uint8Array[] = [];
  #heldEnd = false;
  #exitQueued = 0;
  /** Nothing more is read of the visitor. */
  #closing = false;
  /** A request's password is being checked. */
  #judging = false;
  #left = false;

  constructor(
    readonly client: ByteEnd,
    readonly clients: Clients,
    readonly judge: JudgeRequest,
  ) {
    client.sink = this;
  }

  /** The first request, which is judged already, and what came behind its head. After the join. */
  begin(first: JudgedRequest, rest: Uint8Array): void {
    this.#forward(first);
    if (rest.length > 0) this.onData(rest);
  }

  // From the visitor.

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (this.#raw) this.sink.onData(bytes);
    else if (!this.#closing) this.#take(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.sink.onDrain(queuedBytes);
  }

  onEnd(): void {
    if (this.#judging || (this.#asked !== null && this.#content === null && !this.#raw)) this.#heldEnd = true;
    else {
      if (!this.#raw) this.#closing = true;
      this.sink.onEnd();
    }
  }

  onClose(reason: ReasonName | null): void {
    if (this.#left) return;
    this.#left = true;
    this.clients.remove(this);
    this.sink.onClose(reason);
  }

  expired(): void {
    if (this.#asked !== null) this.#stoodStill(this.#asked);
    else if (this.#requests.isEmpty) this.#finish();
    else this.#refuse(UNFINISHED);
  }

  /** No content came for a while. */
  #stoodStill({ method }: Asked): void {
    // The service does not take it, or answers already: then it is not the visitor who is waited for.
    if (this.#exitQueued > 0 || this.#answerBegan) this.clients.add(this, CONTENT_MS);
    else this.#say(UNFINISHED, "idle", method);
  }

  closed(): void {
    this.client.reset("shutdown");
  }

  #take(bytes: Uint8Array): void {
    let left = bytes;
    while (left.length > 0 && !this.#closing && !this.#left) {
      if (this.#content !== null) left = this.#takeContent(this.#content, left);
      else if (this.#asked !== null || this.#judging) {
        this.#hold(left);
        return;
      } else {
        const begins = this.#requests.isEmpty;
        const head = this.#requests.feed(left);
        if (head === null) {
          // From its first byte on, however slowly the rest comes.
          if (begins) this.clients.add(this);
          return;
        }
        if (!head.ok) {
          this.#refuse(faultOf(head.error));
          return;
        }
        if (!this.#takeHead(head.value.head)) return;
        left = head.value.rest;
      }
    }
  }

  /** False: the visitor is being sent away. */
  #takeHead(text: string): boolean {
    const head = parseRequestHead(text);
    if (!head.ok) {
      this.#refuse(faultOf(head.error));
      return false;
    }
    this.clients.remove(this);
    const { method } = head.value;
    const judged = this.judge(head.value);
    if (!(judged instanceof Promise)) return this.#judged(judged, method);
    this.#judging = true;
    judged
      .then((later) => {
        this.#judging = false;
        if (!this.#left && !this.#closing && this.#judged(later, method)) this.#release();
      })
      .catch((error: unknown) => {
        this.reset("resources");
        reportError(error);
      });
    return true;
  }

  #judged(judged: Judgement, method: string): boolean {
    if (judged.ok) this.#forward(judged.value);
    else this.#refuse(judged.error, method);
    return judged.ok;
  }

  #forward({ head, framing, upgrades, closes }: JudgedRequest): void {
    this.clients.remove(this);
    this.#asked = { method: head.method, minor: head.minor, upgrades, closes };
    this.#answerBegan = false;
    const content = new BodyReader(framing);
    this.#content = content.isDone ? null : content;
    if (this.#content !== null) this.clients.add(this, CONTENT_MS);
    this.sink.onData(encodeRequestHead(head));
  }

  #takeContent(content: BodyReader, bytes: Uint8Array): Uint8Array {
    // Chunks are written anew: their sizes and extensions are not read alike by all, and what follows them least of all.
    const taken = content.isChunked
      ? content.feed(bytes, (piece) => this.sink.onData(encodeChunk(piece)))
      : content.feed(bytes);
    if (!taken.ok) {
      // The service has a part of it: nothing but the end of its connection says that the rest does not come.
      this.reset("protocolError");
      return new Uint8Array(0);
    }
    this.clients.remove(this);
    if (content.isDone) this.#content = null;
    else this.clients.add(this, CONTENT_MS);
    if (!content.isChunked) this.sink.onData(bytes.subarray(0, taken.value));
    else if (content.isDone) this.sink.onData(encodeLastChunk());
    return bytes.subarray(taken.value);
  }

  #hold(bytes: Uint8Array): void {
    // A copy: of a Buffer, slice() would be none.
    this.#held.push(new Uint8Array(bytes));
    this.client.backlog(HOLD_BYTES);
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    this.client.backlog(this.#exitQueued);
    for (const bytes of held) this.onData(bytes);
    if (this.#heldEnd && !this.#left) {
      this.#heldEnd = false;
      this.onEnd();
    }
  }

  // From the service.

  write(bytes: Uint8Array): number {
    let left = bytes;
    let queued = 0;
    while (left.length > 0 && !this.#left) {
      if (this.#raw) return this.client.write(left);
      if (this.#answer !== null) {
        const taken = this.#answer.feed(left);
        if (!taken.ok) {
          this.reset("protocolError");
          return 0;
        }
        queued = this.#send(left.subarray(0, taken.value));
        left = left.subarray(taken.value);
        if (this.#answer.isDone) this.#answered();
        continue;
      }
      if (this.#asked === null) {
        // Whoever answers what nobody asked has lost count: the next answer would be for another request.
        this.reset("protocolError");
        return 0;
      }
      const head = this.#responses.feed(left);
      if (head === null) return queued;
      const parsed = head.ok ? parseResponseHead(head.value.head) : head;
      if (!head.ok || !parsed.ok) {
        this.reset("protocolError");
        return 0;
      }
      left = head.value.rest;
      queued = this.#takeResponse(parsed.value, this.#asked);
    }
    return this.#head === null ? queued : this.#send(NOTHING);
  }

  #send(content: Uint8Array): number {
    const head = this.#head;
    this.#head = null;
    if (head === null) return this.client.write(content);
    if (head.length + content.length <= JOINED_BYTES) return this.client.write(joined(head, content));
    this.client.write(head);
    return this.client.write(content);
  }

  #takeResponse(head: ResponseHead, asked: Asked): number {
    const { status } = head;
    if (status === SWITCHING) {
      if (!asked.upgrades) {
        this.reset("protocolError");
        return 0;
      }
      this.#raw = true;
      this.#asked = null;
      const queued = this.client.write(encodeResponseHead(head));
      this.#release();
      return queued;
    }
    // To HTTP/1.0 there are no interim answers (RFC 9110 §15.2).
    if (status < FIRST_FINAL) return asked.minor === 0 ? 0 : this.client.write(encodeResponseHead(head));
    const framing = responseFraming(head, asked.method);
    if (!framing.ok) {
      this.reset("protocolError");
      return 0;
    }
    this.#answerBegan = true;
    this.#answer = new BodyReader(framing.value);
    const options = membersOf(head.fields, "connection");
    const stays = head.minor === 1 ? !options.includes("close") : options.includes("keep-alive");
    if (!stays) this.#asked = { ...asked, closes: true };
    this.#head = encodeResponseHead(head);
    if (!this.#answer.isDone) return 0;
    const queued = this.#send(NOTHING);
    this.#answered();
    return queued;
  }

  /** The answer is whole. */
  #answered(): void {
    const closes = this.#asked?.closes ?? true;
    this.#asked = null;
    this.#answer = null;
    // An answer before the end of the request: what is left of that cannot be told from the next one.
    if (closes || this.#content !== null) {
      this.#finish();
      return;
    }
    this.clients.add(this, KEEP_ALIVE_MS);
    this.#release();
  }

  #finish(): void {
    this.clients.remove(this);
    this.#closing = true;
    this.#held = [];
    this.client.backlog(0);
    this.client.end();
    this.sink.onEnd();
  }

  backlog(queuedBytes: number): void {
    this.#exitQueued = queuedBytes;
    if (!this.#left) this.client.backlog(this.#held.length > 0 ? HOLD_BYTES : queuedBytes);
  }

  /** The service sends no more. */
  end(): void {
    if (this.#left) return;
    if (this.#asked !== null && !this.#answerBegan) this.reset("reset");
    else if (this.#answer !== null && !this.#answer.isOpenEnded) this.reset("reset");
    else {
      this.#closing = !this.#raw;
      this.client.end();
    }
  }

  /** Before the first byte of an answer the visitor is told in words. */
  reset(reason: ReasonName): void {
    if (this.#left) return;
    if (this.#raw || this.#asked === null || this.#answerBegan) {
      this.client.reset(reason);
      // Of an end that was closed before nothing is heard.
      this.onClose(reason);
      return;
    }
    this.#say(refusalOf(reason), reason, this.#asked.method);
  }

  keepAlive(): void {
    if (!this.#left) this.client.keepAlive?.();
  }

  /** No request is under way: the visitor is told why the next one is none. */
  #refuse(refusal: RequestRefusal, method: string | null = null): void {
    this.#say(refusal, null, method);
  }

  #say(refusal: RequestRefusal, reason: ReasonName | null, method: string | null): void {
    if (this.#left) return;
    this.#closing = true;
    this.clients.bidFarewell(this.client, pageBytes(refusal, method));
    this.onClose(reason ?? "protocolError");
  }
}

function joined(head: Uint8Array, content: Uint8Array): Uint8Array {
  if (content.length === 0) return head;
  const bytes = new Uint8Array(head.length + content.length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

export function faultOf(fault: HeadFault): RequestRefusal {
  switch (fault) {
    case "malformed":
      return { status: 400, sentence: "This request is not in order." };
    case "too-long":
      return { status: 431, sentence: "The head of this request is too long." };
    case "version":
      return { status: 505, sentence: "This is HTTP/1.1 and HTTP/1.0." };
    default:
      return fault satisfies never;
  }
}
