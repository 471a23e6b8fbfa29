import { type Lane, LaneChooser } from "../../core/tunnel/placement.ts";
import { CarrierSequence, type Sequenced } from "../../core/tunnel/sequence.ts";
import { INITIAL_WINDOW_BYTES, ReceiveWindow, type WindowBudget } from "../../core/tunnel/window.ts";
import { Reason, type ReasonName } from "../../wire/reason.ts";
import { FrameType, writeU32 } from "../../wire/tunnel/frame.ts";
import { ByteQueue } from "../io/byte-queue.ts";
import type { ByteEnd, ByteSink } from "../io/ends.ts";
import type { Carrier } from "./carrier.ts";
import type { Waiter } from "./lanes.ts";

/** What a stream needs of its session. */
export interface StreamHost {
  readonly budget: WindowBudget;
  readonly rttMs: number;
  nowMs(): number;
  /** The carrier that a stream in this lane should use; `current` stays when it fits. */
  carrierFor(lane: Lane, current: Carrier): Carrier;
  /** Calls `carrierReady` once the carrier takes bytes again. */
  awaitCarrier(carrier: Carrier, stream: TunnelStream): void;
  forget(stream: TunnelStream): void;
}

const NOTHING = new Uint8Array(0);
/** More than a u32 of credit at once is a peer that does not count (compare RFC 9113 §6.9.1). */
const MAX_CREDIT_BYTES = 0xffff_ffff;
/** One turn of a stream on a carrier that others wait for. */
const QUANTUM_BYTES = 64 * 1024;

/** One TCP connection's bytes inside a session; both the opener's and the acceptor's side. */
export class TunnelStream implements ByteEnd, Waiter {
  sink: ByteSink = UNSET_SINK;
  /** Called once at the end, before the sink hears of it: for whoever counts streams. */
  onGone: (() => void) | null = null;
  private credit = INITIAL_WINDOW_BYTES;
  /** What waits for credit or for the carrier; most streams never need one. */
  private queue: ByteQueue | null = null;
  private sinkBacklog = 0;
  private waiting = false;
  private isOpen = false;
  /** The peer has this stream: its DATA may take another carrier, where it could overtake OPEN. */
  private peerKnows: boolean;
  private localEnd = false;
  private localEndSent = false;
  private remoteEnd = false;
  private closed = false;
  private readonly window: ReceiveWindow;
  private readonly lane: LaneChooser;
  private readonly sequence: CarrierSequence;
  /** Where this side's DATA travels now. */
  private carrier: Carrier;

  constructor(
    private readonly host: StreamHost,
    readonly id: number,
    private readonly accepted: boolean,
    /** The light carrier that OPEN travelled on; OPENED, REFUSED, RESET and CREDIT do too: never behind bulk, never before OPEN. */
    readonly home: Carrier,
    nowMs: number,
  ) {
    this.carrier = home;
    this.peerKnows = accepted;
    this.window = new ReceiveWindow(host.budget, nowMs);
    this.lane = new LaneChooser(nowMs);
    this.sequence = new CarrierSequence(home.index);
  }

  // ——— what this side sends ———

  opened(): void {
    if (this.closed || this.isOpen || !this.accepted) return;
    this.isOpen = true;
    this.home.send(FrameType.opened, this.id, NOTHING);
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.localEnd) return 0;
    const sent = this.pendingBytes === 0 ? this.transmit(bytes) : 0;
    if (sent < bytes.length) {
      this.queue ??= new ByteQueue();
      this.queue.push(sent === 0 ? bytes : bytes.subarray(sent));
      this.awaitCarrierIfBlocked();
    }
    return this.pendingBytes;
  }

  private get pendingBytes(): number {
    return this.queue === null ? 0 : this.queue.length;
  }

  /** Sends as much as credit and the carrier allow; returns the count. */
  private transmit(bytes: Uint8Array): number {
    let sent = 0;
    while (sent < bytes.length && this.credit > 0 && this.carrier.ready) {
      const take = Math.min(bytes.length - sent, this.credit);
      this.chooseCarrier(take);
      if (!this.carrier.ready) break;
      this.carrier.sendData(this.id, take === bytes.length ? bytes : bytes.subarray(sent, sent + take));
      this.credit -= take;
      sent += take;
    }
    return sent;
  }

  private chooseCarrier(bytes: number): void {
    const lane = this.lane.next(bytes, this.host.nowMs());
    const next = this.peerKnows ? this.host.carrierFor(lane, this.carrier) : this.carrier;
    if (next === this.carrier) return;
    this.carrier.send(FrameType.move, this.id, Uint8Array.of(next.index));
    // The MOVE must not wait for the turn's end while the new carrier runs ahead.
    this.carrier.flush();
    this.carrier = next;
  }

  private awaitCarrierIfBlocked(): void {
    if (this.waiting || this.credit <= 0 || this.carrier.ready) return;
    this.waiting = true;
    this.host.awaitCarrier(this.carrier, this);
  }

  carrierReady(): void {
    this.waiting = false;
    if (!this.closed) this.sendPending(QUANTUM_BYTES);
  }

  private sendPending(quantumBytes: number): void {
    let quantum = quantumBytes;
    const before = this.pendingBytes;
    for (let block = this.queue?.peek() ?? null; block !== null && quantum > 0; block = this.queue?.peek() ?? null) {
      const sent = this.transmit(block.length > quantum ? block.subarray(0, quantum) : block);
      if (sent === 0) break;
      this.queue?.consume(sent);
      quantum -= sent;
    }
    // A stream that was slow once need not keep a queue for life.
    if (this.pendingBytes === 0) this.queue = null;
    if (this.pendingBytes > 0 && this.credit > 0 && !this.waiting) {
      // Blocked by the carrier, or its turn is over while others wait.
      this.waiting = true;
      this.host.awaitCarrier(this.carrier, this);
    }
    this.sendEndIfDone();
    if (this.pendingBytes !== before && !this.closed) this.sink.onDrain(this.pendingBytes);
  }

  end(): void {
    if (this.closed || this.localEnd) return;
    this.localEnd = true;
    this.sendEndIfDone();
  }

  private sendEndIfDone(): void {
    if (!this.localEnd || this.localEndSent || this.pendingBytes > 0 || this.closed) return;
    this.localEndSent = true;
    this.carrier.send(FrameType.end, this.id, NOTHING);
    this.closeIfDone();
  }

  reset(reason: ReasonName): void {
    if (this.closed) return;
    const type = this.accepted && !this.isOpen ? FrameType.refused : FrameType.reset;
    this.home.send(type, this.id, Uint8Array.of(Reason[reason]));
    this.finish(reason);
  }

  backlog(queuedBytes: number): void {
    this.sinkBacklog = queuedBytes;
    this.grant();
  }

  private grant(): void {
    if (this.closed || this.remoteEnd) return;
    const queuedBytes = this.sinkBacklog + this.sequence.earlyBytes;
    const credit = this.window.consumed(queuedBytes, this.host.rttMs, this.host.nowMs());
    if (credit === 0) return;
    const payload = new Uint8Array(4);
    writeU32(payload, 0, credit);
    this.home.send(FrameType.credit, this.id, payload);
  }

  // ——— what the peer sent ———

  receiveData(from: Carrier, part: Uint8Array): void {
    if (!this.window.received(part.length)) {
      this.reset("protocolError");
      return;
    }
    const item = { kind: "data", bytes: part } as const;
    if (this.sequence.inOrder(from.index)) this.deliver(item);
    else this.keep(from, item);
  }

  receiveOrdered(from: Carrier, item: Sequenced): void {
    if (!this.sequence.inOrder(from.index)) {
      this.keep(from, item);
      return;
    }
    if (item.kind === "move") this.sequence.moved(item.carrier, (due) => this.deliver(due));
    else this.deliver(item);
  }

  private keep(from: Carrier, item: Sequenced): void {
    if (!this.sequence.keep(from.index, item)) this.reset("protocolError");
  }

  private deliver(item: Exclude<Sequenced, { readonly kind: "move" }>): void {
    if (this.closed) return;
    switch (item.kind) {
      case "data":
        if (this.remoteEnd) {
          this.reset("protocolError");
          return;
        }
        this.sink.onData(item.bytes);
        this.grant();
        return;
      case "end":
        if (this.remoteEnd) {
          this.reset("protocolError");
          return;
        }
        this.remoteEnd = true;
        this.sink.onEnd();
        this.closeIfDone();
        return;
      default:
        item satisfies never;
        return;
    }
  }

  receiveCredit(bytes: number): void {
    this.peerKnows = true;
    this.credit += bytes;
    if (this.credit > MAX_CREDIT_BYTES) {
      this.reset("protocolError");
      return;
    }
    if (!this.waiting) this.sendPending(Number.POSITIVE_INFINITY);
  }

  /** OPENED from the acceptor. */
  receiveOpened(): void {
    if (this.accepted || this.isOpen) return;
    this.isOpen = true;
    this.peerKnows = true;
    this.sink.onOpen();
  }

  /** REFUSED or RESET from the peer, or the session's end: nothing is answered. */
  cut(reason: ReasonName): void {
    if (!this.closed) this.finish(reason);
  }

  private closeIfDone(): void {
    if (this.localEndSent && this.remoteEnd) this.finish(null);
  }

  private finish(reason: ReasonName | null): void {
    if (this.closed) return;
    this.closed = true;
    this.queue = null;
    this.window.release();
    this.host.forget(this);
    this.onGone?.();
    this.sink.onClose(reason);
  }

  /** Which carrier its DATA travels on: for the carriers' load. */
  get sendingOn(): Carrier {
    return this.carrier;
  }
}

/** A stream whose acceptor forgot to set a sink would lose bytes silently: fail loudly instead. */
const UNSET_SINK: ByteSink = {
  onOpen: unset,
  onData: unset,
  onDrain: unset,
  onEnd: unset,
  // Whoever resets a stream at once needs no sink for it.
  onClose: () => undefined,
};

function unset(): never {
  throw new Error("a tunnel stream was used before its sink was set");
}
