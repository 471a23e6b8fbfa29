import { errorCode } from "../../os/errors.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { FlowSocket } from "../io/datagram-socket.ts";
import { connectFlow } from "../io/datagram-sockets.ts";
import { reasonOfCode } from "../io/dial-error.ts";
import type { FlowEnd, FlowSink } from "../io/ends.ts";
import { SILENT_SINK } from "../io/silent-sink.ts";
import type { Sweeper } from "../io/sweeper.ts";
import type { EnlargeBuffers } from "../io/udp-buffers.ts";
import { CONNECTED, type Sender, UdpQueue } from "../io/udp-outbox.ts";

/** Datagrams and bytes that wait while a host name is resolved; what comes on top is dropped. */
const MAX_WAITING_DATAGRAMS = 64;
const MAX_WAITING_BYTES = 256 * 1024;

/** Bytes to put before each datagram (PROXY protocol v2), or null. */
export type DatagramPrefix = Uint8Array | null;

/** A FlowEnd on a connected UDP socket of its own, so that the service's replies find their visitor. */
export class DirectFlow implements FlowEnd, Sender {
  sink: FlowSink = SILENT_SINK;
  #socket: FlowSocket | null = null;
  #queue: UdpQueue | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #closed = false;

  constructor(
    readonly prefix: DatagramPrefix,
    readonly enlarge: EnlargeBuffers,
    readonly shared: Pick<Sweeper, "descriptors" | "outbox">,
  ) {}

  /** Connects to an IP literal and sends what waited. */
  connect(address: string, port: number): void {
    if (this.#closed) return;
    const socket = connectFlow(address, port, {
      data: (datagram) => this.sink.onDatagram(datagram),
      error: (error) => this.#failed(errorCode(error)),
    });
    if (!socket.ok) {
      this.refuse(reasonOfCode(errorCode(socket.error)));
      return;
    }
    this.#socket = socket.value;
    const queue = new UdpQueue(this.shared.outbox, socket.value, CONNECTED);
    this.#queue = queue;
    this.shared.descriptors.taken();
    this.enlarge(socket.value);
    for (const datagram of this.#waiting) queue.push(this, datagram, this.prefix);
    this.#waiting = [];
  }

  /** The outcome comes in this turn, but after the sink was set. */
  refuse(reason: ReasonName): void {
    queueMicrotask(() => this.#finish(reason));
  }

  send(datagram: Uint8Array): boolean {
    if (this.#closed) return false;
    if (this.#queue !== null) {
      this.#queue.push(this, datagram, this.prefix);
      return true;
    }
    if (this.#waiting.length >= MAX_WAITING_DATAGRAMS) return false;
    if (this.#waitingBytes + datagram.length > MAX_WAITING_BYTES) return false;
    this.#waitingBytes += datagram.length;
    // A copy: of a Buffer, slice() would be none.
    this.#waiting.push(new Uint8Array(datagram));
    return true;
  }

  dropped(bytes: number): void {
    this.sink.onDropped?.(bytes - (this.prefix?.length ?? 0));
  }

  close(_reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#queue?.flush();
    this.#queue = null;
    if (this.#socket !== null) {
      this.#socket.close();
      this.shared.descriptors.given();
    }
    this.sink = SILENT_SINK;
  }

  /** An ICMP error (RFC 1122 §4.1.3.3): nothing listens at the service, or its host is away. */
  #failed(code: string | null): void {
    if (code === "EMSGSIZE") return;
    this.#finish(reasonOfCode(code));
  }

  #finish(reason: ReasonName): void {
    if (this.#closed) return;
    const sink = this.sink;
    this.close(reason);
    sink.onClose(reason);
  }
}
