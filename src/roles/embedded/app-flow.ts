import type { FlowEnd, FlowSink, Visit } from "../../dataplanes/io/ends.ts";
import { SILENT_SINK } from "../../dataplanes/io/silent-sink.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { EventQueue } from "../event-queue.ts";

/** Of an app that reads slowly the oldest datagrams are dropped, as a full socket buffer drops. */
const MAX_WAITING_DATAGRAMS = 512;
/** The same by their bytes: any stranger may fill it, once for each port that he has. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** One visitor's UDP flow that ends in the app. */
export class AppFlow implements FlowEnd {
  sink: FlowSink = SILENT_SINK;
  readonly socket: AppFlowSocket;
  readonly #received = new EventQueue<Uint8Array>(() => false, MAX_WAITING_DATAGRAMS, {
    of: ({ length }) => length,
    max: MAX_WAITING_BYTES,
  });
  #closed = false;

  constructor(visit: Visit) {
    this.socket = new AppFlowSocket(this, this.#received, visit);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  send(datagram: Uint8Array): boolean {
    // A copy: of a Buffer, slice() would be none.
    if (!this.#closed) this.#received.push(new Uint8Array(datagram));
    return !this.#closed;
  }

  close(_reason: ReasonName | null): void {
    this.#closed = true;
    this.#received.end();
    this.sink = SILENT_SINK;
  }

  appSends(datagram: Uint8Array): boolean {
    if (!this.#closed) this.sink.onDatagram(datagram);
    return !this.#closed;
  }

  appCloses(): void {
    if (this.#closed) return;
    const { sink } = this;
    this.close(null);
    sink.onClose(null);
  }
}

/** What the app sees of it: datagrams by `for await`, and answers by `send`. */
export class AppFlowSocket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly #flow: AppFlow;
  readonly #received: EventQueue<Uint8Array>;

  constructor(flow: AppFlow, received: EventQueue<Uint8Array>, { visitor, entry }: Visit) {
    this.#flow = flow;
    this.#received = received;
    this.remoteAddress = visitor.address;
    this.remotePort = visitor.port;
    this.localAddress = entry.address;
    this.localPort = entry.port;
  }

  get closed(): boolean {
    return this.#flow.isClosed;
  }

  /** False: it was dropped, because the flow is closed. What the tunnel has no room for is dropped unseen, as UDP is. */
  send(datagram: Uint8Array): boolean {
    return this.#flow.appSends(datagram);
  }

  close(): void {
    this.#flow.appCloses();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#received[Symbol.asyncIterator]();
  }
}
