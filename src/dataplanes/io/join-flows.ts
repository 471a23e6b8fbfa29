import type { ReasonName } from "../../wire/reason.ts";
import type { FlowEnd, FlowSink, Visit } from "./ends.ts";
import type { Admission, IdleLimits, OpenVisit, Visits } from "./visits.ts";

/** The bandwidth limits of an entry; they may come and go while flows are open. */
export interface Shaping {
  /** False: the datagram is above a limit and must be dropped. */
  allows(datagramBytes: number): boolean;
}

const UNSHAPED: Shaping = { allows: () => true };

/**
 * Passes datagrams between a visitor's flow and its exit until either side ends or both are idle: the one place that
 * counts them. Registers with `visits`; `admission`, when given, hears `leave` at the end.
 */
export function joinFlows(
  visitor: FlowEnd,
  exit: FlowEnd,
  visit: Visit,
  visits: Visits,
  admission: Admission | null = null,
  shaping: Shaping = UNSHAPED,
): OpenVisit {
  return new JoinedFlows(visitor, exit, visit, visits, admission, shaping);
}

class JoinedFlows implements OpenVisit {
  readonly protocol = "udp";
  readonly sinceMs = Date.now();
  bytesIn = 0;
  bytesOut = 0;
  readonly #id: number;
  /** Traffic is noticed by comparing counts at each sweep: the data path keeps no clock. */
  #datagrams = 0;
  #sweptDatagrams = 0;
  #lastActiveMs = performance.now();
  #closed = false;

  constructor(
    readonly visitor: FlowEnd,
    readonly exit: FlowEnd,
    readonly visit: Visit,
    readonly visits: Visits,
    readonly admission: Admission | null,
    readonly shaping: Shaping,
  ) {
    this.#id = visits.add(this);
    visitor.sink = new VisitorSide(this);
    exit.sink = new ExitSide(this);
  }

  /** False when the datagram was dropped, which is counted here. */
  passes(datagram: Uint8Array, to: FlowEnd): boolean {
    this.#datagrams += 1;
    if (this.shaping.allows(datagram.length) && to.send(datagram)) return true;
    this.countDropped();
    return false;
  }

  countIn(bytes: number): void {
    this.bytesIn += bytes;
    this.visits.counters.bytesIn += bytes;
  }

  countOut(bytes: number): void {
    this.bytesOut += bytes;
    this.visits.counters.bytesOut += bytes;
  }

  countDropped(): void {
    this.visits.counters.datagramsDropped += 1;
  }

  cut(reason: ReasonName): void {
    this.end(reason);
  }

  sweep(nowMs: number, limits: IdleLimits): void {
    if (this.#datagrams !== this.#sweptDatagrams) {
      this.#sweptDatagrams = this.#datagrams;
      this.#lastActiveMs = nowMs;
    } else if (nowMs - this.#lastActiveMs >= limits.udpIdleSec * 1_000) {
      this.end("idle");
    }
  }

  /** Closing a side may make it say so: that call comes here again. */
  end(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.visitor.close(reason);
    this.exit.close(reason);
    // An idle flow has ended as flows do (RFC 4787 REQ-5): that is not counted as a visitor cut.
    this.visits.remove(this.#id, reason === "idle" ? null : reason);
    this.admission?.leave(this.visit.visitor.address);
  }
}

class VisitorSide implements FlowSink {
  constructor(readonly joined: JoinedFlows) {}

  onDatagram(datagram: Uint8Array): void {
    const { joined } = this;
    if (joined.passes(datagram, joined.exit)) joined.countIn(datagram.length);
  }

  /** Of what the visitor's side was to send: replies. */
  onDropped(bytes: number): void {
    const { joined } = this;
    joined.countOut(-bytes);
    joined.countDropped();
  }

  onClose(reason: ReasonName | null): void {
    this.joined.end(reason);
  }
}

class ExitSide implements FlowSink {
  constructor(readonly joined: JoinedFlows) {}

  onDatagram(datagram: Uint8Array): void {
    const { joined } = this;
    if (joined.passes(datagram, joined.visitor)) joined.countOut(datagram.length);
  }

  /** Of what the exit was to send. */
  onDropped(bytes: number): void {
    const { joined } = this;
    joined.countIn(-bytes);
    joined.countDropped();
  }

  onClose(reason: ReasonName | null): void {
    this.joined.end(reason);
  }
}
