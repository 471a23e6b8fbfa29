import { INITIAL_WINDOW_BYTES, ReceiveWindow, type WindowBudget } from "../../core/tunnel/window.ts";
import { ByteQueue } from "../../dataplanes/io/byte-queue.ts";
import type { ByteEnd, ByteSink } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { openFailureOf, reasonOfFailure } from "./open-failure.ts";

/** RFC 4253 §6.1: what every implementation takes. ssh2 takes no packet that is much longer. */
export const MAX_PACKET_BYTES = 32 * 1024;
/** RFC 4254 §5.2: the one kind of extended data that there is. */
const STDERR = 1;
/** RFC 4254 §5.2 */
const MAX_WINDOW = 0xffff_ffff;
/**
 * OpenSSH's own (64 packets). Its client takes as much from its side as a window allows, and moves all of that about for each
 * packet: with 16 MiB it was busy with that alone, and a channel carried 0.4 to 0.8 Gbit/s every other time, in place of 2.1 to 2.7.
 */
const MOST_WINDOW_BYTES = 2 * 1024 * 1024;
/** One turn of a channel on a connection that others wait for. */
const QUANTUM_BYTES = 64 * 1024;

/** What a channel sends; all within the one connection. */
export interface ChannelPeer {
  channelData(remoteId: number, data: Buffer): void;
  channelExtData(remoteId: number, data: Buffer, type: number): void;
  channelEOF(remoteId: number): void;
  channelClose(remoteId: number): void;
  channelWindowAdjust(remoteId: number, bytes: number): void;
  channelOpenConfirm(remoteId: number, localId: number, windowBytes: number, packetBytes: number): void;
  channelOpenFail(remoteId: number, reason: number, description: string): void;
}

export interface ChannelHost {
  readonly peer: ChannelPeer;
  readonly budget: WindowBudget;
  readonly rttMs: number;
  /** Packets leave at once: the socket takes them, and no key exchange is under way. */
  readonly ready: boolean;
  nowMs(): number;
  /** Calls `turn` when `ready` again. */
  await(channel: SshChannel): void;
  /** Both sides closed it: its number is free. */
  forget(channel: SshChannel): void;
  /** The client closed it, but its other side has not ended: until `ended` it is to be cut with the connection. */
  abandoned(channel: SshChannel): void;
  ended(channel: SshChannel): void;
  /** The peer broke the protocol. */
  violated(why: string): void;
}

/** The peer's side of a channel, as it told it. */
export interface RemoteSide {
  readonly id: number;
  readonly windowBytes: number;
  readonly packetBytes: number;
}

type State = "opening" | "open" | "closed";

/** One channel of an SSH connection (RFC 4254 §5) as a ByteEnd: opened by the client, or by this side towards it. */
export class SshChannel implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  /** Called once, before the sink hears of the end: for whoever counts channels. */
  onGone: (() => void) | null = null;
  /** Opening: not confirmed yet. Closed: the sink was told. */
  private state: State = "opening";
  private remote: RemoteSide | null;
  private credit = 0;
  private queue: ByteQueue | null = null;
  private waiting = false;
  private localEnd = false;
  private localEndSent = false;
  private closing = false;
  private closeSent = false;
  private remoteEnd = false;
  /** The client closed it, and the other side of the visit has not ended yet. */
  private abandoned = false;
  private sinkBacklog = 0;
  private readonly window: ReceiveWindow;

  /** `remote`: of one that the client opens; null = this side opens it, and waits for the answer. */
  constructor(
    private readonly host: ChannelHost,
    readonly id: number,
    remote: RemoteSide | null,
  ) {
    this.remote = remote;
    this.accepted = remote !== null;
    this.credit = remote?.windowBytes ?? 0;
    this.window = new ReceiveWindow(host.budget, host.nowMs(), MOST_WINDOW_BYTES);
  }

  private readonly accepted: boolean;

  get isOpen(): boolean {
    return this.state === "open" && !this.abandoned;
  }

  /** Null until the client confirmed it. */
  get remoteId(): number | null {
    return this.remote?.id ?? null;
  }

  // ——— what this side sends ———

  opened(): void {
    if (!this.accepted || this.state !== "opening" || this.remote === null) return;
    this.state = "open";
    this.host.peer.channelOpenConfirm(this.remote.id, this.id, INITIAL_WINDOW_BYTES, MAX_PACKET_BYTES);
    this.sendPending(Number.POSITIVE_INFINITY);
  }

  write(bytes: Uint8Array): number {
    if (this.state === "closed" || this.localEnd) return 0;
    if (this.abandoned) {
      // As a kernel answers for a socket that its program closed.
      this.finish("reset");
      return 0;
    }
    const sent = this.pendingBytes === 0 ? this.transmit(bytes) : 0;
    if (sent < bytes.length) {
      this.queue ??= new ByteQueue();
      this.queue.push(sent === 0 ? bytes : bytes.subarray(sent));
      this.awaitIfBlocked();
    }
    return this.pendingBytes;
  }

  /** A few words on the second stream of a session: said at once, or not at all where the client has no room for them. */
  writeError(words: Uint8Array): void {
    if (this.remote === null || this.state !== "open" || this.localEnd) return;
    if (words.length > Math.min(this.credit, this.remote.packetBytes)) return;
    this.host.peer.channelExtData(this.remote.id, Buffer.from(words), STDERR);
    this.credit -= words.length;
  }

  private get pendingBytes(): number {
    return this.queue?.length ?? 0;
  }

  /** Sends as much as the window and the connection allow; returns the count. */
  private transmit(bytes: Uint8Array): number {
    const { remote } = this;
    if (remote === null || this.state !== "open") return 0;
    const most = Math.min(remote.packetBytes, MAX_PACKET_BYTES);
    let sent = 0;
    while (sent < bytes.length && this.credit > 0 && this.host.ready) {
      const take = Math.min(bytes.length - sent, this.credit, most);
      this.host.peer.channelData(remote.id, Buffer.from(bytes.buffer, bytes.byteOffset + sent, take));
      this.credit -= take;
      sent += take;
    }
    return sent;
  }

  private awaitIfBlocked(): void {
    if (this.waiting || this.credit <= 0 || this.state !== "open" || this.host.ready) return;
    this.waiting = true;
    this.host.await(this);
  }

  /** The connection takes packets again, and it is this channel's turn. */
  turn(): void {
    this.waiting = false;
    this.sendPending(QUANTUM_BYTES);
  }

  private sendPending(quantumBytes: number): void {
    if (this.state !== "open") return;
    const before = this.pendingBytes;
    let quantum = quantumBytes;
    for (let block = this.queue?.peek() ?? null; block !== null && quantum > 0; block = this.queue?.peek() ?? null) {
      const sent = this.transmit(block.length > quantum ? block.subarray(0, quantum) : block);
      if (sent === 0) break;
      this.queue?.consume(sent);
      quantum -= sent;
    }
    if (this.pendingBytes === 0) this.queue = null;
    else if (this.credit > 0 && !this.waiting) {
      this.waiting = true;
      this.host.await(this);
    }
    this.sendEndIfDone();
    if (this.pendingBytes < before) this.sink.onDrain(this.pendingBytes);
  }

  end(): void {
    if (this.state === "closed" || this.localEnd) return;
    this.localEnd = true;
    if (this.abandoned) this.finish(null);
    else this.sendEndIfDone();
  }

  /** Ends both directions, after what is queued: the client has nothing to say any more that matters. */
  close(): void {
    this.closing = true;
    this.end();
  }

  private sendEndIfDone(): void {
    if (!this.localEnd || this.localEndSent || this.pendingBytes > 0 || this.remote === null) return;
    if (this.state !== "open") return;
    this.localEndSent = true;
    this.host.peer.channelEOF(this.remote.id);
    if (this.closing) this.remoteEnd = true;
    this.closeIfDone();
  }

  private closeIfDone(): void {
    if (!this.localEndSent || !this.remoteEnd) return;
    this.sendClose();
    this.finish(null);
  }

  private sendClose(): void {
    if (this.closeSent || this.remote === null) return;
    this.closeSent = true;
    this.host.peer.channelClose(this.remote.id);
  }

  reset(reason: ReasonName): void {
    if (this.state === "closed") return;
    if (this.accepted && this.state === "opening" && this.remote !== null) {
      const { code, text } = openFailureOf(reason);
      this.host.peer.channelOpenFail(this.remote.id, code, text);
      this.finish(reason);
      this.host.forget(this);
      return;
    }
    this.sendClose();
    this.finish(reason);
  }

  backlog(queuedBytes: number): void {
    this.sinkBacklog = queuedBytes;
    this.grant();
  }

  private grant(): void {
    if (this.state !== "open" || this.remoteEnd || this.remote === null) return;
    const credit = this.window.consumed(this.sinkBacklog, this.host.rttMs, this.host.nowMs());
    if (credit > 0) this.host.peer.channelWindowAdjust(this.remote.id, credit);
  }

  // ——— what the client sent ———

  receiveConfirmation(remote: RemoteSide): void {
    if (this.remote !== null) {
      this.host.violated("it confirmed a channel twice");
      return;
    }
    this.remote = remote;
    this.credit = remote.windowBytes;
    if (this.state === "closed") {
      // The visitor left before the answer.
      this.sendClose();
      return;
    }
    this.state = "open";
    this.sink.onOpen();
    this.sendPending(Number.POSITIVE_INFINITY);
  }

  receiveFailure(code: number): void {
    if (this.remote !== null) {
      this.host.violated("it refused a channel that is open");
      return;
    }
    this.finish(reasonOfFailure(code));
    this.host.forget(this);
  }

  receiveData(bytes: Uint8Array): void {
    if (this.remote === null || (this.accepted && this.state === "opening")) {
      this.host.violated("it sent data on a channel that is not open");
      return;
    }
    if (!this.window.received(bytes.length)) {
      this.host.violated("it sent more than its window allows");
      return;
    }
    if (this.state === "closed" || this.remoteEnd) return;
    this.sink.onData(bytes);
    this.grant();
  }

  /** Data of a kind that nobody hears: it takes its part of the window. */
  receiveUnwanted(bytes: number): void {
    if (!this.window.received(bytes)) this.host.violated("it sent more than its window allows");
    else this.grant();
  }

  receiveWindow(bytes: number): void {
    this.credit = Math.min(MAX_WINDOW, this.credit + bytes);
    if (!this.waiting) this.sendPending(Number.POSITIVE_INFINITY);
  }

  receiveEnd(): void {
    if (this.state !== "open" || this.remoteEnd) return;
    this.remoteEnd = true;
    this.sink.onEnd();
    this.closeIfDone();
  }

  receiveClose(): void {
    if (this.remote === null) {
      this.host.violated("it closed a channel that is not open");
      return;
    }
    this.receiveEnd();
    this.sendClose();
    if (this.state === "open" && !this.localEnd) this.abandon();
    else this.finish(null);
    this.host.forget(this);
  }

  /** What the client sent was all delivered, and its end; what it did not take any more is nobody's. */
  private abandon(): void {
    this.abandoned = true;
    this.host.abandoned(this);
    this.queue = null;
    this.window.release();
    // Whoever waited to send goes on, and learns by that.
    this.sink.onDrain(0);
  }

  /** The connection is gone: nothing is sent. */
  cut(reason: ReasonName): void {
    this.closeSent = true;
    this.finish(reason);
  }

  private finish(reason: ReasonName | null): void {
    if (this.state === "closed") return;
    this.state = "closed";
    if (this.abandoned) this.host.ended(this);
    this.queue = null;
    this.window.release();
    this.onGone?.();
    this.sink.onClose(reason);
  }
}
