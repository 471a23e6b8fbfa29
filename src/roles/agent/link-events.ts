import type { HostPort } from "../../wire/endpoint.ts";
import type { LinkEvent } from "../control.ts";
import { EventQueue } from "../event-queue.ts";
import type { LinkState } from "./link.ts";

export interface LinkEventsOptions {
  readonly present: LinkState;
  watch(watch: (state: LinkState) => void): () => void;
  /** Any of them ends the events. */
  readonly ends: readonly AbortSignal[];
  relay(): HostPort | null;
  readonly deviceId: string;
}

/** What happens to the link, from its present state on (`RunningAgent.link`). */
export async function* linkEvents(options: LinkEventsOptions): AsyncGenerator<LinkEvent> {
  const queue = new EventQueue<LinkEvent>();
  const push = (state: LinkState) => {
    const event = eventOf(state, options);
    if (event !== null) queue.push(event);
  };
  const end = () => queue.end();
  push(options.present);
  const stop = options.watch(push);
  for (const signal of options.ends) {
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  }
  try {
    yield* queue;
  } finally {
    stop();
    for (const signal of options.ends) signal.removeEventListener("abort", end);
  }
}

function eventOf(state: LinkState, { relay, deviceId }: LinkEventsOptions): LinkEvent | null {
  switch (state.kind) {
    case "none":
    case "connecting":
      return null;
    case "up": {
      const address = relay();
      if (address === null) return null;
      return {
        event: "connected",
        relay: address,
        name: state.welcome.device,
        deviceId,
        carriers: state.session.carrierCount,
        rttMs: state.session.measuredRttMs,
      };
    }
    case "down":
      return { event: "disconnected", message: state.message, retryInMs: state.retryInMs };
    case "rejected":
      return { event: "rejected", message: state.message };
    default:
      return state satisfies never;
  }
}
