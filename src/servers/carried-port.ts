import { ForwardCounters } from "../dataplanes/io/counters.ts";
import type { Descriptors } from "../dataplanes/io/descriptors.ts";
import type { ByteEnd, Visit } from "../dataplanes/io/ends.ts";
import type { EntryError } from "../dataplanes/io/entry-error.ts";
import { join } from "../dataplanes/io/join.ts";
import type { Listener, Listeners } from "../dataplanes/io/listeners.ts";
import type { PortSharing } from "../dataplanes/io/port-sharing.ts";
import type { GateHost, ProxyGate } from "../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../dataplanes/io/sweeper.ts";
import { type Dialer, TcpEnd } from "../dataplanes/io/tcp-end.ts";
import { tcpListeners } from "../dataplanes/io/tcp-entry.ts";
import type { Turnstile } from "../dataplanes/io/turnstile.ts";
import { type Admission, Visits } from "../dataplanes/io/visits.ts";
import type { ReasonName } from "../wire/reason.ts";
import { ok, type Result } from "../wire/result.ts";

/** Where a server listens whose connections are carried to it. */
export const CARRIED_TO = "127.0.0.1";

export interface CarriedPortOptions {
  /** An address of this machine, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** With other processes of this program; null = with none. */
  readonly sharing: PortSharing | null;
  /** Where load balancers say who the visitors are. */
  readonly gate: ProxyGate;
  readonly sweeper: Sweeper;
}

/** The server itself has a deadline for everything but a visitor who has said all and takes no answer. */
const LIMITS = { tcpIdleSec: null, halfCloseIdleSec: 60, udpIdleSec: 60 };

/**
 * The port of an HTTP server of Bun's, which takes no sockets that were read from: connections are let through the gate
 * here, and carried to the server on this machine. It asks whose they are by the port that they are carried from, which is
 * one connection's alone; whoever else of this machine comes to it is nobody.
 */
export class CarriedPort {
  readonly #options: CarriedPortOptions;
  readonly #clients = new Map<number, string>();
  readonly #visits = new Visits(LIMITS);
  readonly #atGate: GateHost = {
    counters: new ForwardCounters(),
    receive: (end, visit) => this.#carry(end, visit),
  };
  #listeners: Listeners<Listener> | null = null;
  #target = 0;

  private constructor(options: CarriedPortOptions) {
    this.#options = options;
  }

  static open(options: CarriedPortOptions): Result<CarriedPort, EntryError> {
    const carried = new CarriedPort(options);
    const opened = carried.#listen();
    return opened.ok ? ok(carried) : opened;
  }

  #listen(): Result<null, EntryError> {
    const { bind, port, sharing, gate, sweeper } = this.#options;
    const onVisitor = (end: ByteEnd, visit: Visit) => {
      if (sweeper.descriptors.scarce) end.reset("resources");
      else gate.receive(end, visit, this.#atGate);
    };
    this.#listeners = tcpListeners(bind, onVisitor, sweeper, sharing);
    sweeper.add(this.#visits);
    return this.#listeners.open(new Set([port]));
  }

  get port(): number {
    return this.#listeners?.ports[0]?.endpoint.port ?? this.#options.port;
  }

  /** Connections that come from now on are carried to that port of CARRIED_TO. */
  carryTo(port: number): void {
    this.#target = port;
  }

  /** Who came by the connection that the server has from that port of CARRIED_TO; null = nobody of ours. */
  clientAt(port: number): string | null {
    return this.#clients.get(port) ?? null;
  }

  #carry(end: ByteEnd, visit: Visit): void {
    const { turnstile, descriptors } = this.#options.sweeper;
    const carrier = new Carried(this.#clients, visit.visitor.address, turnstile, descriptors);
    const exit = TcpEnd.dialled(carrier);
    join(end, exit, visit, this.#visits, carrier);
    exit.dial(CARRIED_TO, this.#target);
  }

  setShared(shared: boolean): boolean {
    return (this.#listeners?.ports ?? []).every((listener) => listener.setShared(shared));
  }

  /** Frees the port at once; resolves when every connection has ended. */
  async retire(): Promise<void> {
    this.#listeners?.close();
    await this.#visits.drained();
  }

  close(): void {
    const { gate, sweeper } = this.#options;
    this.#listeners?.close();
    gate.close(this.#atGate);
    this.#visits.cutAll("shutdown");
    sweeper.remove(this.#visits);
  }
}

/** One connection on its way to the server: known there before its first byte. */
class Carried implements Dialer, Admission {
  #port = 0;

  constructor(
    readonly clients: Map<number, string>,
    readonly client: string,
    readonly turnstile: Turnstile,
    readonly descriptors: Descriptors,
  ) {}

  dialOpened(end: TcpEnd): void {
    this.#port = end.localPort;
    this.clients.set(this.#port, this.client);
  }

  dialFailed(end: TcpEnd, reason: ReasonName): void {
    end.refuse(reason);
  }

  admit(): null {
    return null;
  }

  admitMore(): true {
    return true;
  }

  hasPlenty(): true {
    return true;
  }

  leave(): void {
    this.clients.delete(this.#port);
  }
}
