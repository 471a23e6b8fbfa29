import type { ReasonName } from "../../wire/reason.ts";
import type { FlowEnd, Visit } from "./ends.ts";
import type { IdleLimits, OpenVisit, Visits } from "./visits.ts";

/** Passes datagrams between a visitor's flow that came by a tunnel and its exit, until either side ends or both are idle. */
export function joinFlows(visitor: FlowEnd, exit: FlowEnd, visit: Visit, visits: Visits): OpenVisit {
  return new JoinedFlows(visitor, exit, visit, visits);
}

class JoinedFlows implements OpenVisit {
  readonly protocol = "udp";
  readonly sinceMs = Date.now();
  bytesIn = 0;
  bytesOut = 0;
  readonly #id: number;
  #datagrams = 0;
  #sweptDatagrams = 0;
  #lastActiveMs = performance.now();
  #closed = false;

  constructor(
    readonly visitor: FlowEnd,
    readonly exit: FlowEnd,
    readonly visit: Visit,
    readonly visits: Visits,
  ) {
    this.#id = visits.add(this);
    visitor.sink = {
      onDatagram: (datagram) => {
        this.#datagrams += 1;
        if (!exit.send(datagram)) {
          visits.counters.datagramsDropped += 1;
          return;
        }
        this.bytesIn += datagram.length;
        visits.counters.bytesIn += datagram.length;
      },
      onClose: (reason) => this.#end(reason),
    };
    exit.sink = {
      onDatagram: (datagram) => {
        this.#datagrams += 1;
        if (!visitor.send(datagram)) {
          visits.counters.datagramsDropped += 1;
          return;
        }
        this.bytesOut += datagram.length;
        visits.counters.bytesOut += datagram.length;
      },
      onClose: (reason) => this.#end(reason),
    };
  }

  cut(reason: ReasonName): void {
    this.#end(reason);
  }

  sweep(nowMs: number, limits: IdleLimits): void {
    if (this.#datagrams !== this.#sweptDatagrams) {
      this.#sweptDatagrams = this.#datagrams;
      this.#lastActiveMs = nowMs;
    } else if (nowMs - this.#lastActiveMs >= limits.udpIdleSec * 1_000) {
      this.#end("idle");
    }
  }

  #end(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.visitor.close(reason);
    this.exit.close(reason);
    // An idle flow has ended as flows do (RFC 4787 REQ-5): that is not counted as a visitor cut.
    this.visits.remove(this.#id, reason === "idle" ? null : reason);
  }
}
