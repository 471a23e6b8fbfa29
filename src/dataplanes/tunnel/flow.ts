import type { ReasonName } from "../../wire/reason.ts";
import type { FlowEnd, FlowSink } from "../io/ends.ts";

export interface FlowHost {
  /** False when the datagram was dropped. */
  sendDatagram(id: number, datagram: Uint8Array): boolean;
  closeFlow(flow: TunnelFlow, reason: ReasonName | null): void;
}

/** One visitor's UDP flow inside a session. Datagrams that come before a sink is set are lost, as UDP may. */
export class TunnelFlow implements FlowEnd {
  sink: FlowSink = NO_SINK;
  /** Called once at the end, before the sink hears of it: for whoever counts flows. */
  onGone: (() => void) | null = null;
  private closed = false;

  constructor(
    private readonly host: FlowHost,
    readonly id: number,
  ) {}

  send(datagram: Uint8Array): boolean {
    return !this.closed && this.host.sendDatagram(this.id, datagram);
  }

  close(reason: ReasonName | null): void {
    if (this.closed) return;
    this.closed = true;
    this.host.closeFlow(this, reason);
    this.finish(reason);
  }

  private finish(reason: ReasonName | null): void {
    this.onGone?.();
    this.sink.onClose(reason);
  }

  receive(datagram: Uint8Array): void {
    if (!this.closed) this.sink.onDatagram(datagram);
  }

  /** FLOW_CLOSE from the peer, or the session's end. */
  cut(reason: ReasonName | null): void {
    if (this.closed) return;
    this.closed = true;
    this.finish(reason);
  }
}

const NO_SINK: FlowSink = { onDatagram: () => undefined, onClose: () => undefined };
