import { Liveness } from "../../core/tunnel/liveness.ts";
import type { CarrierRole } from "../../wire/tunnel/control.ts";
import {
  encodeHeader,
  FrameParser,
  type FrameSink,
  FrameType,
  type FrameTypeCode,
  HEADER_BYTES,
  MAX_DATA_BYTES,
  MAX_PAYLOAD,
} from "../../wire/tunnel/frame.ts";
import { ByteQueue } from "../io/byte-queue.ts";
import type { ByteSocket } from "../io/byte-socket.ts";
import type { Reader, Turnstile } from "../io/turnstile.ts";

/** Payloads from here on are written from the reader's buffer; smaller ones are gathered (tunnel.md: 5.5 against 4.8 Gbit/s). */
const DIRECT_BYTES = 8 * 1024;
/** A gathered write leaves at this size at the latest. */
const MAX_STAGING_BYTES = 64 * 1024;
const FIRST_STAGING_BYTES = 1024;
/** TLS 1.3 record payload (RFC 8446 §5.1): a header written alone would cost a record of its own. */
const RECORD_BYTES = 16 * 1024;

/** Before a peer has proved itself it may make us hold this much. */
const MAX_HELLO_BYTES = 8 * 1024;
/**
 * Streams stop writing at the first queued byte and datagrams are dropped at 4 MiB, so only a peer that asks for
 * answers (pings, refused opens) without reading them gets here.
 */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;

/** After `end` the peer may take this long to read what is queued. */
const LINGER_MS = 3_000;

export interface CarrierSink {
  onDataPart(carrier: Carrier, id: number, part: Uint8Array): void;
  onFrame(carrier: Carrier, type: FrameTypeCode, id: number, payload: Uint8Array): void;
  /** All that was queued has left. */
  onDrain(carrier: Carrier): void;
  /** The connection is gone; the last call. `why` is for the log. */
  onClose(carrier: Carrier, why: string): void;
}

/** What all carriers of a relay or an agent share: the end of the event loop's turn, and the turns of bulk readers. */
export class CarrierGroup {
  private dirty: Carrier[] = [];
  private readonly endTurn = () => {
    const due = this.dirty;
    this.dirty = [];
    for (const carrier of due) carrier.flush();
  };

  constructor(readonly turnstile: Turnstile | null = null) {}

  /**
   * Flushes `carrier` at the turn's end: small frames are gathered and leave once a turn, not once a callback
   * (tunnel.md: 28,800 → 47,600 requests/s).
   */
  flushAtTurnEnd(carrier: Carrier): void {
    this.dirty.push(carrier);
    if (this.dirty.length === 1) setImmediate(this.endTurn);
  }
}

/** One TLS connection between agent and relay: frames in, frames out, in order, never blocking. */
export class Carrier implements FrameSink, Reader {
  role: CarrierRole = "control";
  index = 0;
  readonly liveness: Liveness;
  /** How many streams send on it now: new ones go to the least loaded. */
  load = 0;
  private readonly parser = new FrameParser(MAX_HELLO_BYTES);
  private staging = new Uint8Array(FIRST_STAGING_BYTES);
  private stagedBytes = 0;
  private scheduled = false;
  /** What the kernel did not take. */
  private readonly queue = new ByteQueue();
  private closed = false;
  private lingering: Timer | null = null;

  constructor(
    private readonly socket: ByteSocket<Carrier>,
    private readonly group: CarrierGroup,
    public sink: CarrierSink,
    nowMs: number,
    /** Of the peer and of this side, where the socket's are a load balancer's. */
    private readonly ends: Pick<ByteSocket<Carrier>, "remoteAddress" | "localAddress"> = socket,
  ) {
    this.liveness = new Liveness(nowMs);
  }

  /** The peer proved who it is: frames may have their full size. */
  trust(): void {
    this.parser.maxPayload = MAX_PAYLOAD;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get remoteAddress(): string {
    return this.ends.remoteAddress;
  }

  get localAddress(): string {
    return this.ends.localAddress;
  }

  /** Bytes that the kernel did not take yet, gathered ones not counted. */
  get backlogBytes(): number {
    return this.queue.length;
  }

  /** True while the kernel takes what is written. */
  get ready(): boolean {
    return this.queue.length === 0 && !this.closed;
  }

  /** A frame that is not DATA. `payload` is within the type's limits (frame.ts). */
  send(type: FrameTypeCode, id: number, payload: Uint8Array): void {
    if (this.closed) return;
    this.writeFrame(type, id, payload);
    this.schedule();
  }

  /** DATA, in as many frames as it takes. The bytes are sent or copied before it returns. */
  sendData(id: number, bytes: Uint8Array): void {
    if (this.closed) return;
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      const part = bytes.length <= MAX_DATA_BYTES ? bytes : bytes.subarray(at, at + MAX_DATA_BYTES);
      this.writeFrame(FrameType.data, id, part);
    }
    // While bulk fills the turns, their end is late: an interactive stream's bytes leave at once.
    if (this.role === "light" && this.group.turnstile?.busy === true) this.flush();
    else this.schedule();
  }

  private writeFrame(type: FrameTypeCode, id: number, payload: Uint8Array): void {
    this.makeRoom(HEADER_BYTES);
    encodeHeader(this.staging, this.stagedBytes, type, id, payload.length);
    this.stagedBytes += HEADER_BYTES;
    if (payload.length < DIRECT_BYTES) {
      this.stage(payload);
      return;
    }
    // The first record is filled up with payload, so that the header does not travel alone.
    const lead = Math.min(payload.length, RECORD_BYTES - (this.stagedBytes % RECORD_BYTES));
    this.stage(payload.subarray(0, lead));
    this.flush();
    if (lead < payload.length) this.write(payload.subarray(lead));
  }

  private stage(bytes: Uint8Array): void {
    this.makeRoom(bytes.length);
    this.staging.set(bytes, this.stagedBytes);
    this.stagedBytes += bytes.length;
  }

  /** Room for `bytes` (at most RECORD_BYTES) in the staging buffer, growing or flushing it. */
  private makeRoom(bytes: number): void {
    const needed = this.stagedBytes + bytes;
    if (needed <= this.staging.length) return;
    if (needed <= MAX_STAGING_BYTES) {
      let size = this.staging.length * 2;
      while (size < needed) size *= 2;
      const grown = new Uint8Array(size);
      grown.set(this.staging.subarray(0, this.stagedBytes));
      this.staging = grown;
      return;
    }
    this.flush();
  }

  private schedule(): void {
    if (this.scheduled || this.stagedBytes === 0) return;
    this.scheduled = true;
    this.group.flushAtTurnEnd(this);
  }

  /** Writes out what is gathered. */
  flush(): void {
    this.scheduled = false;
    if (this.stagedBytes === 0 || this.closed) return;
    const bytes = this.staging.subarray(0, this.stagedBytes);
    this.stagedBytes = 0;
    this.write(bytes);
  }

  private write(bytes: Uint8Array): void {
    if (this.closed) return;
    let written = 0;
    if (this.queue.length === 0) {
      written = this.socket.write(bytes);
      if (written === bytes.length) return;
      // −1: the socket is closed or closing; its close event tells the sink.
      if (written < 0) return;
    }
    this.queue.push(written === 0 ? bytes : bytes.subarray(written));
    if (this.queue.length > MAX_QUEUE_BYTES) this.fail("the peer does not read what it asks for");
  }

  /** The kernel has room again. */
  drain(): void {
    for (let block = this.queue.peek(); block !== null; block = this.queue.peek()) {
      const written = this.socket.write(block);
      if (written > 0) this.queue.consume(written);
      if (written < block.length) return;
    }
    if (this.lingering !== null) this.socket.end();
    else if (!this.closed) this.sink.onDrain(this);
  }

  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.closed) return;
    this.liveness.heard(nowMs);
    const error = this.parser.push(bytes, this);
    if (error !== null)
      this.fail(`the peer sent a bad frame (${error.kind}, type ${error.type}, ${error.length} bytes)`);
    else this.group.turnstile?.passed(this, bytes.length);
  }

  standStill(): void {
    if (!this.closed) this.socket.pause();
  }

  goOn(): void {
    if (!this.closed) this.socket.resume();
  }

  onDataPart(id: number, part: Uint8Array): void {
    if (!this.closed) this.sink.onDataPart(this, id, part);
  }

  onFrame(type: FrameTypeCode, id: number, payload: Uint8Array): void {
    if (!this.closed) this.sink.onFrame(this, type, id, payload);
  }

  /** Sends what is queued, for LINGER_MS at most, then closes in order. Nothing is to be sent after. */
  end(): void {
    if (this.closed || this.lingering !== null) return;
    this.flush();
    if (this.queue.length === 0) {
      this.socket.end();
      return;
    }
    this.lingering = setTimeout(() => this.fail("the peer did not read the last bytes"), LINGER_MS);
  }

  /** Cuts the connection and tells the sink why. */
  fail(why: string): void {
    if (this.closed) return;
    this.release();
    this.socket.terminate();
    this.sink.onClose(this, why);
  }

  private release(): void {
    this.closed = true;
    this.queue.clear();
    if (this.lingering !== null) clearTimeout(this.lingering);
  }

  /** The socket's close event. */
  socketClosed(error: Error | undefined): void {
    if (this.closed) return;
    this.release();
    this.sink.onClose(this, error === undefined ? "the connection was closed" : error.message);
  }
}
