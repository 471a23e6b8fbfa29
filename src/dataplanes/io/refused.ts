import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, ByteSink, FlowEnd, FlowSink } from "./ends.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/** An exit that could not even be tried: says why in the turn it was made in, after its sink was set. */
export function refusedEnd(reason: ReasonName): ByteEnd {
  return new RefusedEnd(reason);
}

export function refusedFlow(reason: ReasonName): FlowEnd {
  return new RefusedFlow(reason);
}

class RefusedEnd implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  #closed = false;

  constructor(reason: ReasonName) {
    queueMicrotask(() => this.reset(reason));
  }

  write(): number {
    return 0;
  }

  backlog(): void {}

  end(): void {}

  reset(reason: ReasonName): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sink.onClose(reason);
  }
}

class RefusedFlow implements FlowEnd {
  sink: FlowSink = { onDatagram: () => undefined, onClose: () => undefined };
  #closed = false;

  constructor(reason: ReasonName) {
    queueMicrotask(() => this.close(reason));
  }

  send(): boolean {
    return false;
  }

  close(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sink.onClose(reason);
  }
}
