import type { Lane } from "../../core/tunnel/placement.ts";
import type { WindowBudget } from "../../core/tunnel/window.ts";
import { Reason, type ReasonName, reasonName } from "../../wire/reason.ts";
import { type ControlMessage, decodeControl, encodeControl } from "../../wire/tunnel/control.ts";
import { FrameType, type FrameTypeCode, MAX_PAYLOAD, readU32 } from "../../wire/tunnel/frame.ts";
import { decodeOpen, encodeOpen, type OpenRequest } from "../../wire/tunnel/open.ts";
import type { ByteEnd, FlowEnd } from "../io/ends.ts";
import type { Carrier, CarrierSink } from "./carrier.ts";
import { type FlowHost, TunnelFlow } from "./flow.ts";
import { type LaneSizes, Lanes } from "./lanes.ts";
import { Measuring } from "./measuring.ts";
import { type StreamHost, TunnelStream } from "./stream.ts";

/** Who hears of a session. */
export interface SessionEvents {
  /** All carriers are there: streams may be opened. */
  onReady(session: Session): void;
  onControl(session: Session, message: ControlMessage): void;
  /** A peer's stream: set its sink before returning, or reset it. */
  onStream(session: Session, request: OpenRequest, stream: ByteEnd): void;
  onFlow(session: Session, request: OpenRequest, flow: FlowEnd): void;
  /** Every stream and flow has been cut before this; the last call. */
  onClose(session: Session, why: string): void;
}

/** Who is at the other end, proven when the session began. At an agent: the relay, by its address. */
export interface Peer {
  readonly deviceId: string;
  readonly name: string;
  readonly account: string;
  /** Of its program; empty when it is not told. */
  readonly version: string;
  /** What a device said that it understands beyond this version's first messages; absent = nothing. */
  readonly features?: readonly string[];
}

export interface SessionOptions {
  /** Which ids this side gives: agents odd, relays even. */
  readonly side: "agent" | "relay";
  readonly carriers: LaneSizes;
  readonly budget: WindowBudget;
  /** Bounds what one peer can make this side hold. */
  readonly maxStreams: number;
  readonly maxFlows: number;
  nowMs(): number;
}

/** A datagram carrier with more than this queued drops: an old datagram is worth less than none (tunnel.md "UDP"). */
const DATAGRAM_QUEUE_BYTES = 4 * 1024 * 1024;
const ID_STEP = 2;
const MAX_ID = 0xffff_ffff;

/** Everything between one device and the relay: its carriers, streams and flows. The same code on both sides. */
export class Session implements CarrierSink, StreamHost, FlowHost {
  readonly budget: WindowBudget;
  datagramsDropped = 0;
  readonly sinceMs: number;
  private readonly lanes: Lanes;
  private readonly streams = new Map<number, TunnelStream>();
  private readonly flows = new Map<number, TunnelFlow>();
  /** Agents: carriers that the relay has pinged, until the session is ready. */
  private readonly pinged = new Set<Carrier>();
  private readonly measuring = new Measuring();
  private nextId: number;
  private isReady = false;
  private closed = false;

  constructor(
    readonly id: string,
    readonly peer: Peer,
    control: Carrier,
    private readonly options: SessionOptions,
    private readonly events: SessionEvents,
  ) {
    this.budget = options.budget;
    this.nextId = options.side === "agent" ? 1 : 2;
    this.sinceMs = options.nowMs();
    this.lanes = new Lanes(control, options.carriers);
    control.sink = this;
  }

  get ready(): boolean {
    return this.isReady && !this.closed;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get carrierCount(): number {
    return this.lanes.count;
  }

  get openStreams(): number {
    return this.streams.size;
  }

  get openFlows(): number {
    return this.flows.size;
  }

  get remoteAddress(): string {
    return this.lanes.control.remoteAddress;
  }

  get localAddress(): string {
    return this.lanes.control.localAddress;
  }

  /** Null before the first answer to a ping. */
  get measuredRttMs(): number | null {
    return this.lanes.rttMs;
  }

  get rttMs(): number {
    return this.measuredRttMs ?? 0;
  }

  /**
   * A fresh round trip of the carrier that new streams take, in milliseconds; null = the session ended before its answer.
   * Ask again after the answer only: a link that is measured all the time would never be found dead.
   */
  measureRtt(): Promise<number | null> {
    if (!this.ready) return Promise.resolve(null);
    const carrier = this.lanes.forNewStream;
    const measured = this.measuring.next(carrier);
    this.ping(carrier, this.nowMs());
    return measured;
  }

  nowMs(): number {
    return this.options.nowMs();
  }

  /** A further carrier proved itself. False when its role is full or its index taken. */
  attach(carrier: Carrier): boolean {
    if (this.closed || !this.lanes.attach(carrier)) return false;
    carrier.sink = this;
    if (this.options.side === "relay" && this.lanes.complete) this.becomeReady();
    return true;
  }

  /**
   * The relay pings every carrier once it has them all, and only then. Until then an agent sends nothing after its
   * hellos: a frame on one carrier could come before the hello of another, or before the relay has looked the device up.
   */
  private heardPing(carrier: Carrier): void {
    if (this.isReady || this.options.side === "relay") return;
    this.pinged.add(carrier);
    if (this.lanes.complete && this.pinged.size === this.lanes.count) this.becomeReady();
  }

  private becomeReady(): void {
    this.isReady = true;
    this.pinged.clear();
    // Measures the round trip at once as well, so that windows need not wait for the first heartbeat.
    for (const carrier of this.lanes.all()) this.ping(carrier, this.nowMs());
    this.events.onReady(this);
  }

  send(message: ControlMessage): void {
    const bytes = encodeControl(message);
    if (bytes.length <= MAX_PAYLOAD) this.lanes.control.send(FrameType.control, 0, bytes);
    else this.close(`a ${message.t} message of ${bytes.length} bytes is longer than the tunnel carries`);
  }

  /** Opens a stream to the peer. The outcome comes by its sink: `onOpen`, or `onClose` with the reason. */
  openStream(request: OpenRequest, onGone: (() => void) | null = null): ByteEnd | ReasonName {
    const opened = this.open(FrameType.open, request, this.streams.size, this.options.maxStreams);
    if (typeof opened === "string") return opened;
    const stream = new TunnelStream(this, opened.id, false, opened.carrier, this.nowMs());
    stream.onGone = onGone;
    opened.carrier.load++;
    this.streams.set(opened.id, stream);
    return stream;
  }

  /** Opens a flow to the peer; datagrams may follow at once. */
  openFlow(request: OpenRequest, onGone: (() => void) | null = null): FlowEnd | ReasonName {
    const opened = this.open(FrameType.flowOpen, request, this.flows.size, this.options.maxFlows);
    if (typeof opened === "string") return opened;
    const flow = new TunnelFlow(this, opened.id);
    flow.onGone = onGone;
    this.flows.set(opened.id, flow);
    return flow;
  }

  private open(
    type: typeof FrameType.open | typeof FrameType.flowOpen,
    request: OpenRequest,
    count: number,
    most: number,
  ): { id: number; carrier: Carrier } | ReasonName {
    if (!this.ready) return "deviceAway";
    if (count >= most) return "resources";
    const payload = encodeOpen(request);
    if (!payload.ok) return "hostNotFound";
    const carrier = type === FrameType.open ? this.lanes.forNewStream : this.lanes.datagram;
    const id = this.takeId();
    carrier.send(type, id, payload.value);
    // A carrier whose peer reads nothing fails within the call.
    return this.ready ? { id, carrier } : "deviceAway";
  }

  private takeId(): number {
    for (;;) {
      const id = this.nextId;
      this.nextId = id + ID_STEP > MAX_ID ? (id & 1) + (id & 1 ? 0 : 2) : id + ID_STEP;
      if (!this.streams.has(id) && !this.flows.has(id)) return id;
    }
  }

  // ——— StreamHost ———

  carrierFor(lane: Lane, current: Carrier): Carrier {
    return this.lanes.move(lane, current);
  }

  awaitCarrier(carrier: Carrier, stream: TunnelStream): void {
    this.lanes.wait(carrier, stream);
  }

  forget(stream: TunnelStream): void {
    this.lanes.leave(stream.sendingOn, stream);
    this.streams.delete(stream.id);
  }

  // ——— FlowHost ———

  sendDatagram(id: number, datagram: Uint8Array): boolean {
    const carrier = this.lanes.datagram;
    if (carrier.backlogBytes > DATAGRAM_QUEUE_BYTES) {
      this.datagramsDropped++;
      return false;
    }
    carrier.send(FrameType.datagram, id, datagram);
    return true;
  }

  closeFlow(flow: TunnelFlow, reason: ReasonName | null): void {
    this.flows.delete(flow.id);
    this.lanes.datagram.send(FrameType.flowClose, flow.id, Uint8Array.of(Reason[reason ?? "idle"]));
  }

  // ——— CarrierSink ———

  onDataPart(carrier: Carrier, id: number, part: Uint8Array): void {
    if (this.closed) return;
    // Unknown: reset or refused on this side while the peer's bytes were on their way.
    this.streams.get(id)?.receiveData(carrier, part);
  }

  onFrame(carrier: Carrier, frameType: FrameTypeCode, id: number, payload: Uint8Array): void {
    // An orderly close leaves the carriers open while their last bytes leave.
    if (this.closed) return;
    switch (frameType) {
      case FrameType.data:
        return;
      case FrameType.open:
        this.acceptStream(carrier, id, payload);
        return;
      case FrameType.opened:
        this.streams.get(id)?.receiveOpened();
        return;
      case FrameType.refused:
      case FrameType.reset:
        this.streams.get(id)?.cut(reasonName(payload[0] as number));
        return;
      case FrameType.end:
        this.streams.get(id)?.receiveOrdered(carrier, { kind: "end" });
        return;
      case FrameType.move: {
        const next = payload[0] as number;
        if (!this.lanes.has(next)) {
          carrier.fail(`the peer moved a stream to carrier ${next}, which is none`);
          return;
        }
        this.streams.get(id)?.receiveOrdered(carrier, { kind: "move", carrier: next });
        return;
      }
      case FrameType.credit:
        this.streams.get(id)?.receiveCredit(readU32(payload, 0));
        return;
      case FrameType.flowOpen:
        this.acceptFlow(carrier, id, payload);
        return;
      case FrameType.datagram:
        this.flows.get(id)?.receive(payload);
        return;
      case FrameType.flowClose: {
        const flow = this.flows.get(id);
        this.flows.delete(id);
        flow?.cut(reasonName(payload[0] as number));
        return;
      }
      case FrameType.ping:
        carrier.send(FrameType.pong, 0, payload);
        this.heardPing(carrier);
        return;
      case FrameType.pong: {
        const sentMs = new DataView(payload.buffer, payload.byteOffset).getFloat64(0);
        const ms = carrier.liveness.pong(sentMs, this.nowMs());
        if (ms !== null) this.measuring.measured(carrier, ms);
        return;
      }
      case FrameType.control: {
        const message = decodeControl(payload);
        if (!message.ok) {
          carrier.fail(`the peer sent a bad control message: ${message.error.message}`);
          return;
        }
        this.events.onControl(this, message.value);
        return;
      }
      default:
        frameType satisfies never;
    }
  }

  /** Whether the peer may open `id` now. Before all carriers are there, nothing could move or answer. */
  private peersId(id: number): boolean {
    const parity = this.options.side === "agent" ? 0 : 1;
    return this.lanes.complete && id !== 0 && (id & 1) === parity && !this.streams.has(id) && !this.flows.has(id);
  }

  private acceptStream(carrier: Carrier, id: number, payload: Uint8Array): void {
    if (!this.peersId(id)) {
      carrier.fail(`the peer opened stream ${id}, which is not its to open`);
      return;
    }
    if (this.streams.size >= this.options.maxStreams) {
      carrier.send(FrameType.refused, id, Uint8Array.of(Reason.resources));
      return;
    }
    const request = decodeOpen(payload);
    if (!request.ok) {
      carrier.fail(`the peer sent a bad OPEN (${request.error.kind})`);
      return;
    }
    const stream = new TunnelStream(this, id, true, carrier, this.nowMs());
    carrier.load++;
    this.streams.set(id, stream);
    this.events.onStream(this, request.value, stream);
  }

  private acceptFlow(carrier: Carrier, id: number, payload: Uint8Array): void {
    if (!this.peersId(id)) {
      carrier.fail(`the peer opened flow ${id}, which is not its to open`);
      return;
    }
    if (this.flows.size >= this.options.maxFlows) {
      carrier.send(FrameType.flowClose, id, Uint8Array.of(Reason.resources));
      return;
    }
    const request = decodeOpen(payload);
    if (!request.ok) {
      carrier.fail(`the peer sent a bad FLOW_OPEN (${request.error.kind})`);
      return;
    }
    const flow = new TunnelFlow(this, id);
    this.flows.set(id, flow);
    this.events.onFlow(this, request.value, flow);
  }

  onDrain(carrier: Carrier): void {
    this.lanes.serve(carrier);
  }

  /** Pings, and ends the session when a carrier is dead. Call about once a second. */
  tick(nowMs: number): void {
    for (const carrier of this.lanes.all()) {
      if (this.closed) return;
      const action = carrier.liveness.tick(nowMs);
      if (action === "dead") carrier.fail("nothing was heard from the peer for three heartbeats");
      else if (action === "ping") this.ping(carrier, nowMs);
    }
  }

  private ping(carrier: Carrier, nowMs: number): void {
    carrier.liveness.pinged(nowMs);
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setFloat64(0, nowMs);
    carrier.send(FrameType.ping, 0, payload);
  }

  onClose(carrier: Carrier, why: string): void {
    this.close(`${carrier.role} carrier ${carrier.index}: ${why}`);
  }

  /** Cuts every stream and flow, then every carrier. `orderly`: what is queued on the carriers still leaves. */
  close(why: string, orderly = false): void {
    if (this.closed) return;
    this.closed = true;
    for (const stream of [...this.streams.values()]) stream.cut("carrierLost");
    for (const flow of [...this.flows.values()]) flow.cut("carrierLost");
    this.streams.clear();
    this.flows.clear();
    this.measuring.end();
    for (const carrier of this.lanes.all()) {
      if (orderly) carrier.end();
      else carrier.fail(why);
    }
    this.events.onClose(this, why);
  }
}
