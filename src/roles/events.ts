import { randomBytes } from "node:crypto";
import { EventLog } from "../core/events.ts";
import { OpenForwards } from "../core/open-ports.ts";
import type { EventsRequest, FollowedEvent } from "./control.ts";

/** What happened to this role's forwards, and which are open now. */
export interface ForwardEvents {
  readonly log: EventLog;
  readonly open: OpenForwards;
}

const RUN_BYTES = 8;

export function forwardEvents(): ForwardEvents {
  const log = new EventLog({ run: randomBytes(RUN_BYTES).toString("hex") });
  const open = new OpenForwards();
  // The first subscriber: whoever hears of an event after it finds `open` as the event left it.
  log.subscribe((event) => open.apply(event));
  return { log, open };
}

/**
 * Every event after `since` that is kept, and with `follow` those to come, as fast as the reader takes them; until `signal`
 * aborts. `missed`: so many events were gone before this reader came to them.
 */
export async function* followEvents(
  log: EventLog,
  { since, follow }: EventsRequest,
  signal: AbortSignal,
): AsyncGenerator<FollowedEvent> {
  let wake = () => {};
  const unsubscribe = log.subscribe(() => wake());
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  try {
    let readTo = since > log.lastSeq ? 0 : since;
    while (!signal.aborted) {
      const { missed, events } = log.since(readTo);
      if (missed > 0) yield { v: 1, event: "missed", count: missed };
      for (const event of events) {
        if (signal.aborted) return;
        readTo = event.seq;
        yield event;
      }
      if (log.lastSeq > readTo || signal.aborted) continue;
      if (!follow) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", onAbort);
  }
}
