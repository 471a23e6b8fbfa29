import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { H2StreamEnd } from "./h2-stream-end.ts";

/** Who has the connections of one visitor. */
export interface H1Owner {
  /** Its request is answered, and another one may follow. */
  freed(connection: H1Connection): void;
  gone(connection: H1Connection): void;
  /** It ended before it answered this, which may be asked again. */
  again(end: H2StreamEnd): void;
}

/**
 * A connection of HTTP/1.1 to a service, as the visitor of a join: it has the requests of one visitor's HTTP/2, one after
 * the other. Bytes that come when none is asked are nobody's answer, and end it.
 */
export class H1Connection implements ByteEnd, ByteSink {
  sink: ByteSink = SILENT_SINK;
  #end: H2StreamEnd | null = null;
  /** Requests that were answered. */
  #answered = 0;
  #exitQueued = 0;
  #closed = false;

  constructor(
    readonly owner: H1Owner,
    readonly openedMs: number,
  ) {}

  get isClosed(): boolean {
    return this.#closed;
  }

  /** After the join; nothing else is being asked. */
  ask(end: H2StreamEnd): void {
    this.#end = end;
    end.sink = this;
    end.ask();
  }

  /** It has nothing to do, and is not needed any more. */
  retire(): void {
    if (this.#end === null) this.#close(null);
  }

  // From the visitor.

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.sink.onData(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.sink.onDrain(queuedBytes);
  }

  /** `onClose` follows. */
  onEnd(): void {}

  onClose(reason: ReasonName | null): void {
    const end = this.#end;
    this.#end = null;
    if (this.#closed) return;
    // What waits here of the request was answered before the service had it.
    const mayFollow = reason === null && end?.isFollowed === true && this.#exitQueued === 0;
    if (!mayFollow) {
      this.#close(reason);
      return;
    }
    this.#answered += 1;
    // It may have been held up for this visitor's stream.
    this.sink.onDrain(0);
    this.owner.freed(this);
  }

  // From the service.

  write(bytes: Uint8Array): number {
    if (this.#closed) return 0;
    const end = this.#end;
    if (end === null) {
      this.#close("protocolError");
      return 0;
    }
    const queued = end.write(bytes);
    // Freed by these bytes: what the visitor has yet to take holds nothing up here.
    return this.#end === end ? queued : 0;
  }

  backlog(queuedBytes: number): void {
    this.#exitQueued = queuedBytes;
    this.#end?.backlog(queuedBytes);
  }

  end(): void {
    if (this.#closed) return;
    if (this.#end === null) this.#close(null);
    else if (!this.#asksAgain(this.#end, null)) this.#end.end();
  }

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    const end = this.#end;
    if (end !== null && reason === "reset" && this.#asksAgain(end, reason)) return;
    end?.reset(reason);
    this.#close(reason);
  }

  /** The service may have closed it before it heard of the request: that is for whoever asks to mend (RFC 9112 §9.3.1). */
  #asksAgain(end: H2StreamEnd, reason: ReasonName | null): boolean {
    if (this.#answered === 0 || !end.mayRepeat) return false;
    this.#end = null;
    end.sink = SILENT_SINK;
    this.#close(reason);
    this.owner.again(end);
    return true;
  }

  #close(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sink } = this;
    this.sink = SILENT_SINK;
    if (reason === null) sink.onEnd();
    sink.onClose(reason);
    this.owner.gone(this);
  }
}
