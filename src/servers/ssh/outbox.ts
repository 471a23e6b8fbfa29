import type { Socket } from "bun";
import { ByteQueue } from "../../dataplanes/io/byte-queue.ts";

/** A gathered write leaves at this size at the latest. */
const MAX_STAGING_BYTES = 128 * 1024;
const FIRST_STAGING_BYTES = 2 * 1024;
/** Channels stop at the first queued byte, so only a peer that asks for answers without reading them gets here. */
const MAX_QUEUE_BYTES = 4 * 1024 * 1024;

/** The outboxes with something gathered: each is flushed once, at the end of the event loop's turn. */
export class OutboxGroup {
  #dirty: Outbox[] = [];
  readonly #endTurn = () => {
    const due = this.#dirty;
    this.#dirty = [];
    for (const outbox of due) outbox.flush();
  };

  flushAtTurnEnd(outbox: Outbox): void {
    this.#dirty.push(outbox);
    if (this.#dirty.length === 1) setImmediate(this.#endTurn);
  }
}

/**
 * Bytes towards one socket. ssh2 writes a packet in three pieces (length, ciphertext, tag): they are gathered, because a
 * system call for each costs more than the copy.
 */
export class Outbox {
  readonly #socket: Pick<Socket, "write">;
  readonly #group: OutboxGroup;
  readonly #queue = new ByteQueue();
  #staging = new Uint8Array(FIRST_STAGING_BYTES);
  #stagedBytes = 0;
  #scheduled = false;
  #closed = false;

  constructor(socket: Pick<Socket, "write">, group: OutboxGroup) {
    this.#socket = socket;
    this.#group = group;
  }

  /** The kernel takes what is written. */
  get ready(): boolean {
    return this.#queue.length === 0 && !this.#closed;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.#stagedBytes === 0;
  }

  /** The peer does not read what it makes this side send. */
  get overflows(): boolean {
    return this.#queue.length > MAX_QUEUE_BYTES;
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    for (let at = 0; at < bytes.length; ) {
      const part = at === 0 && bytes.length <= MAX_STAGING_BYTES ? bytes : bytes.subarray(at, at + MAX_STAGING_BYTES);
      this.#stage(part);
      at += part.length;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#group.flushAtTurnEnd(this);
  }

  #stage(bytes: Uint8Array): void {
    if (this.#stagedBytes + bytes.length > MAX_STAGING_BYTES) this.#send();
    const needed = this.#stagedBytes + bytes.length;
    if (needed > this.#staging.length) {
      let size = this.#staging.length * 2;
      while (size < needed) size *= 2;
      const grown = new Uint8Array(size);
      grown.set(this.#staging.subarray(0, this.#stagedBytes));
      this.#staging = grown;
    }
    this.#staging.set(bytes, this.#stagedBytes);
    this.#stagedBytes = needed;
  }

  flush(): void {
    this.#scheduled = false;
    this.#send();
  }

  #send(): void {
    if (this.#stagedBytes === 0 || this.#closed) return;
    const bytes = this.#staging.subarray(0, this.#stagedBytes);
    this.#stagedBytes = 0;
    let written = 0;
    if (this.#queue.length === 0) {
      written = this.#socket.write(bytes);
      // −1: the socket is closed or closing; its close event follows.
      if (written === bytes.length || written < 0) return;
    }
    this.#queue.push(written === 0 ? bytes : bytes.subarray(written));
  }

  /** The kernel has room again. True when everything queued has left. */
  drain(): boolean {
    for (let block = this.#queue.peek(); block !== null; block = this.#queue.peek()) {
      const written = this.#socket.write(block);
      if (written > 0) this.#queue.consume(written);
      if (written < block.length) return false;
    }
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#queue.clear();
    this.#stagedBytes = 0;
  }
}
