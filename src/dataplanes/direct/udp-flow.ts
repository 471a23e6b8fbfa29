import type { ReasonName } from "../../wire/reason.ts";
import type { Descriptors } from "../io/descriptors.ts";
import { reasonOfCode } from "../io/dial-error.ts";
import type { FlowEnd, FlowSink } from "../io/ends.ts";
import { errorCode } from "../io/entry-error.ts";
import { SILENT_SINK } from "../io/silent-sink.ts";
import type { EnlargeBuffers } from "../io/udp-buffers.ts";
import { type ConnectedUdpSocket, connectUdp, udpErrorOf } from "../io/udp-socket.ts";

/** Datagrams and bytes that wait while a host name is resolved; what comes on top is dropped. */
const MAX_WAITING_DATAGRAMS = 64;
const MAX_WAITING_BYTES = 256 * 1024;

/** Bytes to put before each datagram (PROXY protocol v2), or null. */
export type DatagramPrefix = Uint8Array | null;

/** A FlowEnd on a connected UDP socket of its own, so that the service's replies find their visitor. */
export class DirectFlow implements FlowEnd {
  sink: FlowSink = SILENT_SINK;
  #socket: ConnectedUdpSocket | null = null;
  #waiting: Uint8Array[] | null = [];
  #waitingBytes = 0;
  #closed = false;

  constructor(
    readonly prefix: DatagramPrefix,
    readonly enlarge: EnlargeBuffers,
    readonly descriptors: Descriptors,
  ) {}

  /** Connects to an IP literal and sends what waited. */
  connect(address: string, port: number): void {
    if (this.#closed) return;
    const socket = connectUdp(address, port, {
      data: (_socket, datagram) => this.sink.onDatagram(datagram),
      error: (first, second) => this.#failed(errorCode(udpErrorOf(first, second))),
    });
    if (!socket.ok) {
      this.refuse(reasonOfCode(errorCode(socket.error)));
      return;
    }
    this.#socket = socket.value;
    this.descriptors.taken();
    this.enlarge(socket.value);
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const datagram of waiting) this.#transmit(datagram);
  }

  /** The outcome comes in this turn, but after the sink was set. */
  refuse(reason: ReasonName): void {
    queueMicrotask(() => this.#finish(reason));
  }

  send(datagram: Uint8Array): boolean {
    if (this.#closed) return false;
    const whole = this.prefix === null ? datagram : Buffer.concat([this.prefix, datagram]);
    if (this.#waiting === null) return this.#transmit(whole);
    if (this.#waiting.length >= MAX_WAITING_DATAGRAMS) return false;
    if (this.#waitingBytes + whole.length > MAX_WAITING_BYTES) return false;
    this.#waitingBytes += whole.length;
    this.#waiting.push(whole === datagram ? new Uint8Array(datagram) : whole);
    return true;
  }

  close(_reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = null;
    if (this.#socket !== null) {
      this.#socket.close();
      this.descriptors.given();
    }
    this.sink = SILENT_SINK;
  }

  #transmit(datagram: Uint8Array): boolean {
    try {
      return this.#socket?.send(datagram) ?? false;
    } catch (error) {
      // EMSGSIZE is this datagram's own; ECONNREFUSED and the like come to the error handler too.
      if (errorCode(error) === null) throw error;
      return false;
    }
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
