import { type Cidr, type CidrSet, compileCidrs } from "../../wire/address.ts";
import { type Gather, newGather } from "../../wire/gather.ts";
import {
  beginsProxyHeader,
  type DecodedProxyHeader,
  decodeProxyHeader,
  newProxySignatureWatch,
  type ProxyHeader,
} from "../../wire/proxy-protocol.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { ForwardCounters } from "./counters.ts";
import type { ByteEnd, ByteSink, Visit } from "./ends.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import type { Sweepable } from "./sweeper.ts";

/** proxy-protocol.txt §2: at least 3 s, so that a lost segment can be sent again. */
const HEADER_MS = 5_000;
/** With its TLVs a header takes some hundred bytes; version 2 could announce 65,551. */
const MAX_HEADER_BYTES = 4_096;
const NONE: ReadonlySet<number> = new Set();

/** missing, wrong: of a source that is listed. unlisted: a header came from one that is not. */
export type ProxyRefusal = "missing" | "wrong" | "unlisted";

export interface ProxyGateOptions {
  /** Monotonic. */
  nowMs(): number;
  /** `address` as the socket has it: of the balancer, or of whoever claims to be one. */
  onRefused(refusal: ProxyRefusal, address: string): void;
}

/** One entry at the gate. */
export interface GateHost<End extends ByteEnd = ByteEnd> {
  readonly counters: ForwardCounters;
  /** A connection whose visitor is known. It joins `end` or resets it before it returns. */
  receive(end: End, visit: Visit): void;
}

/** Whose datagram it is, and what of it is for the service. */
export interface GatedDatagram {
  /** Null = who sent it says nothing of somebody else. */
  readonly header: VisitorHeader | null;
  readonly payload: Uint8Array;
}

type VisitorHeader = Extract<ProxyHeader, { kind: "visitor" }>;
type Transport = VisitorHeader["transport"];

/**
 * The PROXY protocol at the entries of one process. Load balancers that are listed bring a header before the first byte
 * of each connection, and in each datagram; the visitor is whom it names. From anybody else a header is an attempt to be
 * somebody else, and refused: the service would believe it.
 */
export class ProxyGate implements Sweepable {
  readonly #options: ProxyGateOptions;
  #listed: CidrSet | null = null;
  /** Connections whose header has not come, and until when it may. Each holds a descriptor: those bound their number. */
  readonly #waiting = new Map<Waiting, number>();

  constructor(options: ProxyGateOptions) {
    this.#options = options;
  }

  /** Of connections from now on. None = nothing is looked at. */
  change(sources: readonly Cidr[]): void {
    this.#listed = sources.length === 0 ? null : compileCidrs(sources);
  }

  get active(): boolean {
    return this.#listed !== null;
  }

  /** A new connection, with the visit as its socket shows it. */
  receive<End extends ByteEnd>(end: End, visit: Visit, host: GateHost<End>): void {
    const { address } = visit.visitor;
    if (this.#listed?.contains(address) === true) {
      const waiting = new Waiting(this, end, visit, host);
      this.#waiting.set(waiting, this.#options.nowMs() + HEADER_MS);
      end.sink = waiting;
      return;
    }
    host.receive(end, visit);
    // Whoever is told of its bytes goes on being told at once: a service that speaks first waits for nobody.
    if (end.sink !== SILENT_SINK) end.sink = new Watched(end, () => this.#options.onRefused("unlisted", address));
  }

  /** Null: it is to be dropped, and was counted. `address`: who sent it. */
  datagram(datagram: Uint8Array, address: string, counters: ForwardCounters): GatedDatagram | null {
    if (this.#listed?.contains(address) !== true) {
      if (!beginsProxyHeader(datagram)) return { header: null, payload: datagram };
      return this.#refuse("unlisted", address, counters);
    }
    const decoded = decodeProxyHeader(datagram);
    if (!decoded.ok || decoded.value === null || !fits(decoded.value, "datagram")) {
      return this.#refuse(beginsProxyHeader(datagram) ? "wrong" : "missing", address, counters);
    }
    const { header, length } = decoded.value;
    return { header: header.kind === "visitor" ? header : null, payload: datagram.subarray(length) };
  }

  /** Cuts what waits at an entry for other ports than these: it listens no more on theirs. */
  keep(host: GateHost, externalPorts: ReadonlySet<number>): void {
    for (const waiting of [...this.#waiting.keys()]) {
      if (waiting.host === host && !externalPorts.has(waiting.visit.externalPort)) waiting.cut("shutdown");
    }
  }

  close(host: GateHost): void {
    this.keep(host, NONE);
  }

  sweep(nowMs: number): void {
    for (const [waiting, untilMs] of this.#waiting) if (nowMs >= untilMs) waiting.refuse("missing");
  }

  forget(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  refused(refusal: ProxyRefusal, { visit, host }: Waiting): void {
    this.#refuse(refusal, visit.visitor.address, host.counters);
  }

  #refuse(refusal: ProxyRefusal, address: string, counters: ForwardCounters): null {
    counters.countRefused("proxyHeader");
    this.#options.onRefused(refusal, address);
    return null;
  }
}

/** Datagrams are no streams: a header that says so tells of another visitor than this one. */
function fits({ header, length }: DecodedProxyHeader, transport: Transport): boolean {
  return length <= MAX_HEADER_BYTES && (header.kind !== "visitor" || header.transport === transport);
}

/** The visit of whom a balancer names. A header without addresses leaves the balancer's own (§2.1 UNKNOWN, §2.2 LOCAL). */
export function visitOf(header: ProxyHeader | null, { visitor, entry, externalPort }: Visit): Visit {
  if (header?.kind !== "visitor") return { visitor, entry, externalPort };
  return { visitor: header.source, entry: header.destination, externalPort };
}

/** A listed source's connection whose header has not come. */
class Waiting implements ByteSink {
  /** Null = nothing came yet. */
  #gather: Gather | null = null;

  constructor(
    readonly gate: ProxyGate,
    readonly end: ByteEnd,
    readonly visit: Visit,
    readonly host: GateHost,
  ) {}

  onOpen(): void {}
  onDrain(): void {}

  onData(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    // It mostly comes in one piece, which need not be copied.
    const bytes = this.#gather === null ? chunk : this.#gather.append(chunk);
    const decoded = decodeProxyHeader(bytes);
    if (!decoded.ok) {
      this.refuse(decoded.error.kind === "not-proxy-protocol" ? "missing" : "wrong");
    } else if (decoded.value !== null) {
      this.#take(decoded.value, bytes);
    } else if (bytes.length > MAX_HEADER_BYTES) {
      this.refuse("wrong");
    } else if (this.#gather === null) {
      this.#gather = newGather();
      this.#gather.append(chunk);
    }
  }

  #take(decoded: DecodedProxyHeader, bytes: Uint8Array): void {
    if (!fits(decoded, "stream")) {
      this.refuse("wrong");
      return;
    }
    this.gate.forget(this);
    this.end.sink = SILENT_SINK;
    this.host.receive(this.end, visitOf(decoded.header, this.visit));
    const rest = bytes.subarray(decoded.length);
    if (rest.length > 0) this.end.sink.onData(rest);
  }

  /** A balancer that looks whether the port is open says nothing, and leaves: that is no mistake. */
  onEnd(): void {
    if (this.#gather !== null) this.refuse("wrong");
    else this.end.end();
  }

  onClose(): void {
    this.gate.forget(this);
  }

  refuse(refusal: ProxyRefusal): void {
    this.gate.refused(refusal, this);
    this.cut("proxyHeader");
  }

  cut(reason: ReasonName): void {
    this.gate.forget(this);
    this.end.sink = SILENT_SINK;
    this.end.reset(reason);
  }
}

/** Stands before a joined end's sink until its first bytes are no signature, then is gone. */
class Watched implements ByteSink {
  readonly #end: ByteEnd;
  readonly #sink: ByteSink;
  readonly #watch = newProxySignatureWatch();
  readonly #onSignature: () => void;

  constructor(end: ByteEnd, onSignature: () => void) {
    this.#end = end;
    this.#sink = end.sink;
    this.#onSignature = onSignature;
  }

  onOpen(): void {
    this.#sink.onOpen();
  }

  /** What begins a signature passes as it comes; the byte that completes it does not, nor what follows. */
  onData(bytes: Uint8Array): void {
    const seen = this.#watch.push(bytes);
    if (seen === true) {
      this.#onSignature();
      // The visit ends by it, and counts the reason.
      this.#end.reset("proxyHeader");
      return;
    }
    if (seen === false && this.#end.sink === this) this.#end.sink = this.#sink;
    this.#sink.onData(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.#sink.onDrain(queuedBytes);
  }

  onEnd(): void {
    this.#sink.onEnd();
  }

  onClose(reason: ReasonName | null): void {
    this.#sink.onClose(reason);
  }
}
