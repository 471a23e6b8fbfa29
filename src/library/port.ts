import { same } from "../core/same.ts";
import { EventQueue } from "../roles/event-queue.ts";
import type { UpstreamForward, UpstreamState } from "../roles/upstream/forward.ts";
import { UNTOLD_HOST } from "../roles/upstream/state.ts";
import { isIpv6 } from "../wire/address.ts";
import { OpenPortError } from "./error.ts";
import type { Endpoint, Note, OpenPort, PortEvent, Router } from "./hatchway.d.ts";

/** Of a reader who does not come to it. */
const MAX_WAITING_EVENTS = 64;
/** An end of a lease that is nearer to the one told last is the same. */
const LEASE_GRAIN_MS = 1_000;

type Open = UpstreamState & { readonly kind: "open" };
type Down = UpstreamState & { readonly kind: "lost" | "refused" };

/** One forward at the router as an app sees it: what is told of its states are the differences. */
export class KeptPort implements OpenPort {
  readonly #forward: UpstreamForward;
  readonly #readers = new Set<EventQueue<PortEvent>>();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => void this.close();
  /** Until it has been open, nobody is told anything. */
  #isTold = false;
  /** As it was when it was open last. */
  #open: Open | null = null;
  /** Why it is not open any more; null = it is. */
  #down: Down | null = null;
  /** Of the last event, or when it opened. */
  #toldLeaseEndsMs: number | null = null;
  #closing: Promise<void> | null = null;
  #fault: { readonly error: unknown } | null = null;

  constructor(
    open: (changed: () => void, onFault: (error: unknown) => void) => UpstreamForward,
    signal: AbortSignal | undefined,
  ) {
    this.#signal = signal;
    this.#forward = open(
      () => this.#look(),
      (error) => this.#broken(error),
    );
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Null = it is open; else why not. */
  async opened(): Promise<OpenPortError | null> {
    await this.#forward.settled();
    if (this.#fault !== null) throw this.#fault.error;
    if (this.#closing !== null) return aborted(this.#signal);
    const { state } = this.#forward;
    switch (state.kind) {
      case "open":
        this.#isTold = true;
        this.#look();
        return null;
      case "lost":
      case "refused":
        return new OpenPortError(state.failure ?? "usage", state.message);
      case "asking":
        throw new Error("It is settled, and nothing is known of it.");
      default:
        return state satisfies never;
    }
  }

  get state(): OpenPort["state"] {
    if (this.#closing !== null) return "closed";
    return this.#down === null ? "open" : "lost";
  }

  get endpoints(): readonly Endpoint[] {
    return this.state === "open" ? endpointsOf(this.#open) : [];
  }

  get router(): Router {
    const { protocol, address, model } = this.#open?.router ?? NO_ROUTER;
    return { protocol, address, model };
  }

  get leaseEnds(): Date | null {
    return this.state === "open" ? dateOf(this.#open?.leaseEndsMs ?? null) : null;
  }

  get note(): Note | null {
    if (this.#closing !== null) return null;
    if (this.#down !== null) return { kind: "lost", message: this.#down.message };
    return noteOf(this.#open);
  }

  async *events(): AsyncGenerator<PortEvent, void, undefined> {
    if (this.#fault !== null) throw this.#fault.error;
    if (this.#closing !== null) return;
    const queue = new EventQueue<PortEvent>(onlyLeases, MAX_WAITING_EVENTS);
    this.#readers.add(queue);
    try {
      yield* queue;
    } finally {
      this.#readers.delete(queue);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    await this.#forward.end();
    for (const reader of this.#readers) reader.end();
  }

  #look(): void {
    if (!this.#isTold || this.#closing !== null) return;
    const { state } = this.#forward;
    switch (state.kind) {
      case "asking":
        break;
      case "open":
        this.#isOpen(state);
        break;
      case "lost":
      case "refused":
        this.#isDown(state);
        break;
      default:
        state satisfies never;
    }
  }

  #isOpen(now: Open): void {
    const [before, down] = [this.#open, this.#down];
    this.#open = now;
    this.#down = null;
    const event = this.#eventOf(now, before, down !== null);
    if (event === null && before !== null) return;
    this.#toldLeaseEndsMs = now.leaseEndsMs;
    if (event !== null) this.#tell(event);
  }

  #eventOf(now: Open, before: Open | null, wasDown: boolean): PortEvent | null {
    if (before === null) return null;
    const places = { endpoints: endpointsOf(now), before: endpointsOf(before) };
    if (wasDown) return { type: "reopened", ...places };
    if (!same(places.endpoints, places.before) || !same(noteOf(now), noteOf(before))) {
      return { type: "changed", ...places };
    }
    const isRenewed = !isSameLease(now.leaseEndsMs, this.#toldLeaseEndsMs);
    return isRenewed ? { type: "renewed", leaseEnds: dateOf(now.leaseEndsMs) } : null;
  }

  #isDown(now: Down): void {
    const before = this.#down;
    this.#down = now;
    if (before !== null && before.failure === now.failure) return;
    this.#tell({ type: "lost", kind: now.failure ?? "garbled", message: now.message });
  }

  #tell(event: PortEvent): void {
    for (const reader of this.#readers) reader.push(event);
  }

  /** A fault of ours: whoever reads is thrown it, and nobody is left to believe that the port is kept. */
  #broken(error: unknown): void {
    this.#fault = { error };
    for (const reader of this.#readers) reader.fail(error);
    void this.close();
  }
}

/** The clocks that it is told by drift apart a little, and the ports of a set are renewed one after another. */
function isSameLease(a: number | null, b: number | null): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) < LEASE_GRAIN_MS;
}

export function aborted(signal: AbortSignal | undefined): OpenPortError {
  return new OpenPortError("aborted", "Opening the port was called off.", { cause: signal?.reason });
}

function onlyLeases(next: PortEvent, last: PortEvent): boolean {
  return next.type === "renewed" && last.type === "renewed";
}

const NO_ROUTER: Router = { protocol: "pcp", address: "unknown", model: null };

function endpointsOf(open: Open | null): readonly Endpoint[] {
  return (open?.endpoints ?? []).map(({ protocol, host, port, lastPort, internalHost, internalPort }) => ({
    protocol,
    family: isIpv6(internalHost ?? "") ? "ipv6" : "ipv4",
    host: host === UNTOLD_HOST ? null : host,
    port,
    lastPort,
    internalHost: internalHost ?? "",
    internalPort: internalPort ?? port,
  }));
}

function noteOf(open: Open | null): Note | null {
  if (open === null || open.note === null) return null;
  const { kind, message } = open.note;
  return { kind, message };
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
