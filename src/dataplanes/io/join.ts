import type { ReasonName } from "../../wire/reason.ts";
import type { ByteEnd, ByteSink, Visit } from "./ends.ts";
import type { Admission, IdleLimits, OpenVisit, Visits } from "./visits.ts";

/** From then on a visit's sockets use TCP keep-alive: most visits are shorter, and pay nothing for it. */
const KEEP_ALIVE_AFTER_MS = 30_000;

/**
 * Pumps bytes between a visitor and its exit, both ways, until both sides have ended: backlog, half-close and reset
 * pass from each side to the other. Registers with `visits`; `admission`, when given, hears `leave` at the end.
 */
export function join(
  visitor: ByteEnd,
  exit: ByteEnd,
  visit: Visit,
  visits: Visits,
  admission: Admission | null = null,
): OpenVisit {
  return new JoinedVisit(visitor, exit, visit, visits, admission);
}

class JoinedVisit implements OpenVisit {
  readonly protocol = "tcp";
  readonly sinceMs = Date.now();
  bytesIn = 0;
  bytesOut = 0;
  readonly #id: number;
  readonly #fromVisitor: VisitorSide;
  readonly #fromExit: ExitSide;
  #openSides = 2;
  #left = false;
  /** Directions that ended in order. */
  #endedDirections = 0;
  #opened = false;
  #reason: ReasonName | null = null;
  #keptAlive = false;
  /** Traffic is noticed by comparing counts at each sweep: the data path keeps no clock. */
  #sweptBytes = 0;
  #sweptEnds = 0;
  readonly #startedMs = performance.now();
  #lastActiveMs = this.#startedMs;

  constructor(
    visitor: ByteEnd,
    exit: ByteEnd,
    readonly visit: Visit,
    readonly visits: Visits,
    readonly admission: Admission | null,
  ) {
    this.#id = visits.add(this);
    this.#fromVisitor = new VisitorSide(this, visitor, exit);
    this.#fromExit = new ExitSide(this, exit, visitor);
    visitor.sink = this.#fromVisitor;
    exit.sink = this.#fromExit;
  }

  cut(reason: ReasonName): void {
    this.#reason ??= reason;
    this.#fromVisitor.end.reset(reason);
    this.#fromExit.end.reset(reason);
  }

  sweep(nowMs: number, limits: IdleLimits): void {
    const bytes = this.bytesIn + this.bytesOut;
    if (bytes !== this.#sweptBytes || this.#endedDirections !== this.#sweptEnds) {
      this.#sweptBytes = bytes;
      this.#sweptEnds = this.#endedDirections;
      this.#lastActiveMs = nowMs;
    }
    const idleSec = this.#endedDirections > 0 ? limits.halfCloseIdleSec : limits.tcpIdleSec;
    if (idleSec !== null && nowMs - this.#lastActiveMs >= idleSec * 1_000) {
      this.cut("idle");
    } else if (!this.#keptAlive && nowMs - this.#startedMs >= KEEP_ALIVE_AFTER_MS) {
      this.#keptAlive = true;
      this.#fromVisitor.end.keepAlive?.();
      this.#fromExit.end.keepAlive?.();
    }
  }

  sideOpened(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.visits.counters.countAnswer(performance.now() - this.#startedMs);
    this.#fromVisitor.end.opened?.();
  }

  directionEnded(): void {
    this.#endedDirections += 1;
  }

  sideClosed(reason: ReasonName | null, other: ByteEnd): void {
    this.#openSides -= 1;
    if (reason !== null) {
      this.#reason ??= reason;
      other.reset(reason);
    } else {
      other.end();
    }
    // Resetting the other side closes it within the call: that call comes here first.
    if (this.#openSides > 0 || this.#left) return;
    this.#left = true;
    this.visits.remove(this.#id, this.#reason);
    this.admission?.leave(this.visit.visitor.address);
  }
}

/** What both directions share: `end` is heard, `other` is written to. */
abstract class Side implements ByteSink {
  constructor(
    protected readonly joined: JoinedVisit,
    readonly end: ByteEnd,
    protected readonly other: ByteEnd,
  ) {}

  abstract onData(bytes: Uint8Array): void;

  onOpen(): void {
    this.joined.sideOpened();
  }

  onDrain(queuedBytes: number): void {
    this.other.backlog(queuedBytes);
  }

  onEnd(): void {
    this.joined.directionEnded();
    this.other.end();
  }

  onClose(reason: ReasonName | null): void {
    this.joined.sideClosed(reason, this.other);
  }
}

class VisitorSide extends Side {
  onData(bytes: Uint8Array): void {
    this.joined.bytesIn += bytes.length;
    this.joined.visits.counters.bytesIn += bytes.length;
    const queued = this.other.write(bytes);
    if (queued > 0) this.end.backlog(queued);
  }
}

class ExitSide extends Side {
  onData(bytes: Uint8Array): void {
    this.joined.bytesOut += bytes.length;
    this.joined.visits.counters.bytesOut += bytes.length;
    const queued = this.other.write(bytes);
    if (queued > 0) this.end.backlog(queued);
  }
}
