import type { WindowBudget } from "../../core/tunnel/window.ts";
import { type ReasonName, reasonName } from "../../wire/reason.ts";
import { FrameType, type FrameTypeCode, readU32 } from "../../wire/tunnel/frame.ts";
import { decodeOpen, encodeOpen, type OpenRequest } from "../../wire/tunnel/open.ts";
import type { ByteSocket } from "../io/byte-socket.ts";
import type { ByteEnd } from "../io/ends.ts";
import type { Turnstile } from "../io/turnstile.ts";
import { Carrier, CarrierGroup, type CarrierSink } from "./carrier.ts";
import { Lanes } from "./lanes.ts";
import { type StreamHost, TunnelStream } from "./stream.ts";

/** Who hears of a pipe. */
export interface PipeEvents {
  /** It is there: the first call. */
  onOpen(pipe: Pipe): void;
  /** What the other process sent by `send`. It is the pipe's until the call returns. */
  onMessage(pipe: Pipe, message: Uint8Array): void;
  /** The other process's stream: set its sink before returning, or reset it. */
  onStream(pipe: Pipe, request: OpenRequest, stream: ByteEnd): void;
  /** Every stream has been cut before this; the last call. */
  onClose(pipe: Pipe, why: string): void;
}

/** What all pipes of one process share. */
export interface PipeShared {
  readonly budget: WindowBudget;
  readonly turnstile: Turnstile;
  nowMs(): number;
}

const ID_STEP = 2;
const MAX_ID = 0xffff_ffff;
/** Of one process towards another: more than the descriptors of a process allow. */
const MOST_STREAMS = 262_144;
/** The one socket is the lane of all. */
const NO_MORE_CARRIERS = { light: 0, bulk: 0, datagram: 0 };

/**
 * Streams and messages between two processes of one machine, over one Unix socket: the frames of the tunnel protocol, without
 * its proofs, heartbeats and lanes. Both are the same user's, and the kernel tells of the other's end.
 */
export class Pipe implements CarrierSink, StreamHost {
  readonly budget: WindowBudget;
  /** The windows' least is what it takes from one process to the other. */
  readonly rttMs = 0;
  readonly #carrier: Carrier;
  readonly #lanes: Lanes;
  readonly #streams = new Map<number, TunnelStream>();
  readonly #shared: PipeShared;
  readonly #events: PipeEvents;
  readonly #ownParity: number;
  #nextId: number;
  #isClosed = false;

  /** `side`: which ids this one gives. */
  constructor(socket: ByteSocket<unknown>, side: "opened" | "accepted", shared: PipeShared, events: PipeEvents) {
    this.#shared = shared;
    this.#events = events;
    this.budget = shared.budget;
    this.#nextId = side === "opened" ? 1 : 2;
    this.#ownParity = this.#nextId & 1;
    this.#carrier = new Carrier(
      socket as ByteSocket<Carrier>,
      new CarrierGroup(shared.turnstile),
      this,
      shared.nowMs(),
    );
    this.#carrier.trust();
    this.#lanes = new Lanes(this.#carrier, NO_MORE_CARRIERS);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  nowMs(): number {
    return this.#shared.nowMs();
  }

  /** At most MAX_PAYLOAD bytes. */
  send(message: Uint8Array): void {
    this.#carrier.send(FrameType.control, 0, message);
  }

  /** The outcome comes by the sink: `onOpen`, or `onClose` with the reason. */
  openStream(request: OpenRequest, onGone: (() => void) | null): ByteEnd | ReasonName {
    if (this.#isClosed) return "deviceAway";
    if (this.#streams.size >= MOST_STREAMS) return "resources";
    const payload = encodeOpen(request);
    if (!payload.ok) return "hostNotFound";
    const id = this.#takeId();
    const stream = this.#add(id, false);
    stream.onGone = onGone;
    this.#carrier.send(FrameType.open, id, payload.value);
    return stream;
  }

  #takeId(): number {
    for (;;) {
      const id = this.#nextId;
      this.#nextId = id + ID_STEP > MAX_ID ? 2 - this.#ownParity : id + ID_STEP;
      if (!this.#streams.has(id)) return id;
    }
  }

  #add(id: number, accepted: boolean): TunnelStream {
    const stream = new TunnelStream(this, id, accepted, this.#carrier, this.nowMs());
    this.#streams.set(id, stream);
    this.#carrier.load++;
    return stream;
  }

  // ——— of its socket ———

  receive(bytes: Uint8Array): void {
    this.#carrier.receive(bytes, this.nowMs());
  }

  drain(): void {
    this.#carrier.drain();
  }

  socketClosed(error: Error | undefined): void {
    this.#carrier.socketClosed(error);
  }

  // ——— StreamHost ———

  carrierFor(): Carrier {
    return this.#carrier;
  }

  awaitCarrier(carrier: Carrier, stream: TunnelStream): void {
    this.#lanes.wait(carrier, stream);
  }

  forget(stream: TunnelStream): void {
    this.#lanes.leave(this.#carrier, stream);
    this.#streams.delete(stream.id);
  }

  // ——— CarrierSink ———

  onDataPart(carrier: Carrier, id: number, part: Uint8Array): void {
    // Unknown: reset on this side while its bytes were on their way.
    this.#streams.get(id)?.receiveData(carrier, part);
  }

  onFrame(carrier: Carrier, frameType: FrameTypeCode, id: number, payload: Uint8Array): void {
    switch (frameType) {
      case FrameType.data:
        return;
      case FrameType.open:
        this.#accept(id, payload);
        return;
      case FrameType.opened:
        this.#streams.get(id)?.receiveOpened();
        return;
      case FrameType.refused:
      case FrameType.reset:
        this.#streams.get(id)?.cut(reasonName(payload[0] as number));
        return;
      case FrameType.end:
        this.#streams.get(id)?.receiveOrdered(carrier, { kind: "end" });
        return;
      case FrameType.credit:
        this.#streams.get(id)?.receiveCredit(readU32(payload, 0));
        return;
      case FrameType.control:
        this.#events.onMessage(this, payload);
        return;
      case FrameType.move:
      case FrameType.flowOpen:
      case FrameType.datagram:
      case FrameType.flowClose:
      case FrameType.ping:
      case FrameType.pong:
        this.close(`the other process sent a frame of type ${frameType}, which has no place here`);
        return;
      default: {
        frameType satisfies never;
      }
    }
  }

  #accept(id: number, payload: Uint8Array): void {
    const request = decodeOpen(payload);
    if (!request.ok || id === 0 || (id & 1) === this.#ownParity || this.#streams.has(id)) {
      this.close(`the other process opened stream ${id} in a way that is none`);
      return;
    }
    const stream = this.#add(id, true);
    if (this.#streams.size > MOST_STREAMS) stream.reset("resources");
    else this.#events.onStream(this, request.value, stream);
  }

  onDrain(carrier: Carrier): void {
    this.#lanes.serve(carrier);
  }

  onClose(_carrier: Carrier, why: string): void {
    this.close(why);
  }

  /** What was sent still leaves; every stream is cut. */
  close(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of [...this.#streams.values()]) stream.cut("carrierLost");
    this.#carrier.end();
    this.#events.onClose(this, why);
  }
}
