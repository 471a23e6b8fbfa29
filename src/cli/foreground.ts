import type { ExposeEvent, RefusalKind } from "../roles/control.ts";
import { ControlError, type ControlErrorKind } from "../servers/local/error.ts";
import type { Io } from "./context.ts";
import { foregroundView } from "./view.ts";

const REFUSAL_AS: Record<RefusalKind, ControlErrorKind> = {
  usage: "usage",
  policy: "refused",
  credentials: "refused",
  conflict: "failed",
  failed: "failed",
  unreachable: "unreachable",
};

export interface ForegroundOptions {
  readonly json: boolean;
  /** With json: `counters`, `down` and `up` events as well. */
  readonly counters: boolean;
}

/**
 * Shows the forwards that `attach` opens until the program is stopped. All or nothing: the first refusal, and a relay
 * that cannot be reached before every forward was open, end it with a ControlError.
 */
export async function runForeground(
  io: Io,
  count: number,
  attach: (signal: AbortSignal) => AsyncIterable<ExposeEvent>,
  options: ForegroundOptions,
): Promise<void> {
  const failed = new AbortController();
  const view = foregroundView(io, count);
  const open = new Set<string>();
  try {
    for await (const event of attach(AbortSignal.any([io.stop, failed.signal]))) {
      if (event.event === "exposed") open.add(event.id);
      if (event.event === "refused") throw new ControlError(REFUSAL_AS[event.kind], event.message);
      if (event.event === "down" && open.size < count) throw new ControlError("unreachable", event.message);
      if (!options.json) view.show(event);
      else if (event.event === "exposed" || event.event === "way" || options.counters)
        io.out(`${JSON.stringify(event)}\n`);
    }
    if (!io.stop.aborted) throw new ControlError("failed", "The forwards were closed; run the command again.");
  } finally {
    view.close();
    failed.abort();
  }
}
