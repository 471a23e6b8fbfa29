import type { PortMapping } from "../wire/port-set.ts";
import type { Origin } from "./forward.ts";

export type EventKind = "opened" | "changed" | "closed";
export const EVENT_KINDS: readonly EventKind[] = ["opened", "changed", "closed"];

export type EventForwardType = "remote" | "local" | "dynamic" | "direct" | "mapping" | "pinhole" | "upstream";

/** Who asked for the forward: a person, a program by one of the mapping protocols, a trigger, or an agent of the relay. */
export type EventOrigin = Origin | "agent" | "trigger" | "ssh";

/**
 * removed: by whoever asked for it, or by the operator. expired: its lease ran out. withdrawn: it cannot be held any more
 * (its interface or the router above went away). revoked: its owner lost the right to it. shutdown: this program stops.
 */
export type CloseReason = "removed" | "expired" | "withdrawn" | "revoked" | "shutdown";

/** Whose forward it is. A client is a host of the LAN or the VPN that has no device of its own. */
export type EventOwner =
  | { readonly kind: "device"; readonly id: string; readonly name: string }
  | { readonly kind: "client"; readonly address: string }
  /** The forward is this machine's own. */
  | { readonly kind: "host" };

export interface EventForward {
  /** Together with the owner, unique in this process as long as the forward exists. */
  readonly id: string;
  readonly name: string;
  readonly type: EventForwardType;
  readonly origin: EventOrigin;
  readonly owner: EventOwner;
  /** External:internal. Of a pinhole and of a dynamic forward both are the same. */
  readonly ports: readonly PortMapping[];
  /** What visitors type before the port: public names and addresses of the entry; empty while none is known. */
  readonly externalHosts: readonly string[];
  /** Where it leads: an address or name, or a device's name; null for a dynamic forward. */
  readonly to: string | null;
  /** Seconds; null = permanent. */
  readonly lifetimeSec: number | null;
  /** Milliseconds since the epoch; null = the lease does not run, or never ends. */
  readonly expiresMs: number | null;
}

interface EventHead {
  readonly v: 1;
  /** Unique for ever: the run of this program and `seq`. For whoever must not act twice on one event. */
  readonly id: string;
  /** 1, 2, 3 … within a run. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** As it is now; of a closed one, as it was last. */
  readonly forward: EventForward;
}

/** What happened to a forward, as plain JSON: the body of a webhook, and a line of `events --json`. */
export type ForwardEvent = EventHead &
  (
    | { readonly event: "opened" | "changed"; readonly reason: null }
    | { readonly event: "closed"; readonly reason: CloseReason }
  );

/** What the role says happened; the log adds the rest. */
export type ForwardChange =
  | { readonly event: "opened" | "changed"; readonly forward: EventForward }
  | { readonly event: "closed"; readonly forward: EventForward; readonly reason: CloseReason };

/** What a reader gets that has read up to some `seq`. */
export interface EventsSince {
  /** Events that were gone before it came: it was too slow, or away for too long. */
  readonly missed: number;
  /** Oldest first. */
  readonly events: readonly ForwardEvent[];
}

/** 1,000 events are about 0.5 MB. */
export const DEFAULT_EVENTS_KEPT = 1_000;

export interface EventLogOptions {
  /** Another one at each start of the program, in letters and digits: what makes an event's id unique for ever. */
  readonly run: string;
  readonly kept?: number;
}

/**
 * The last events, in a ring. A reader keeps the `seq` it has read up to, and asks for what came after: so a slow reader
 * costs nothing, and is told how many it missed. Listeners hear at once, in the order of subscription.
 */
export class EventLog {
  readonly #run: string;
  readonly #kept: number;
  readonly #ring: ForwardEvent[] = [];
  readonly #listeners = new Set<(event: ForwardEvent) => void>();
  #lastSeq = 0;

  constructor({ run, kept = DEFAULT_EVENTS_KEPT }: EventLogOptions) {
    this.#run = run;
    this.#kept = kept;
  }

  /** Of the youngest event; 0 before the first. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  append(change: ForwardChange, atMs: number): ForwardEvent {
    const seq = ++this.#lastSeq;
    const head = { v: 1, id: `${this.#run}-${seq}`, seq, atMs } as const;
    const event: ForwardEvent =
      change.event === "closed"
        ? { ...head, event: change.event, forward: change.forward, reason: change.reason }
        : { ...head, event: change.event, forward: change.forward, reason: null };
    // Event n has place (n - 1) modulo the size: nothing is moved when the oldest goes.
    this.#ring[(seq - 1) % this.#kept] = event;
    // A copy: a listener may subscribe another or leave while it is told.
    for (const listener of [...this.#listeners]) listener(event);
    return event;
  }

  /** A `seq` that was never given (of the run before this one) is read as 0. */
  since(seq: number): EventsSince {
    const from = seq > this.#lastSeq ? 0 : Math.max(0, seq);
    const oldest = Math.max(0, this.#lastSeq - this.#kept);
    const start = Math.max(from, oldest);
    const events: ForwardEvent[] = [];
    for (let at = start; at < this.#lastSeq; at++) {
      const event = this.#ring[at % this.#kept];
      if (event !== undefined) events.push(event);
    }
    return { missed: start - from, events };
  }

  /** `listener` must not throw. The result ends the subscription. */
  subscribe(listener: (event: ForwardEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Names one forward among all that are open. */
export function forwardKey({ owner, type, id }: EventForward): string {
  return JSON.stringify([owner.kind, ownerId(owner), type, id]);
}

function ownerId(owner: EventOwner): string {
  switch (owner.kind) {
    case "device":
      return owner.id;
    case "client":
      return owner.address;
    case "host":
      return "";
    default:
      return owner satisfies never;
  }
}
