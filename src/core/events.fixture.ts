import { type EventForward, EventLog, type ForwardChange, type ForwardEvent } from "./events.ts";

/** A mapping that a LAN host asked for, with what the test needs otherwise. */
export function exampleForward(changes: Partial<EventForward> = {}): EventForward {
  return {
    id: "m1",
    name: "torrent",
    type: "mapping",
    origin: "natpmp",
    owner: { kind: "client", address: "192.168.1.20" },
    ports: [{ protocol: "tcp", first: 51413, last: 51413, internalFirst: 6881 }],
    externalHosts: ["203.0.113.7"],
    to: "192.168.1.20",
    lifetimeSec: 3600,
    expiresMs: 1_700_003_600_000,
    ...changes,
  };
}

export const EXAMPLE_AT_MS = 1_700_000_000_000;

export function exampleEvent(change: Partial<ForwardChange> & { readonly forward?: EventForward } = {}): ForwardEvent {
  const full = { event: "opened", forward: exampleForward(), ...change } as ForwardChange;
  return new EventLog({ run: "run" }).append(full, EXAMPLE_AT_MS);
}
