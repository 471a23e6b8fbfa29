import type { ByteSink, FlowSink } from "./ends.ts";

/** Hears everything and does nothing: the sink of an end before it is joined and after it is closed. */
export const SILENT_SINK: ByteSink & FlowSink = Object.freeze({
  onOpen() {},
  onData() {},
  onDrain() {},
  onEnd() {},
  onClose() {},
  onDatagram() {},
});
