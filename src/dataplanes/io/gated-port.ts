import { unmapped } from "./bind-address.ts";
import type { ByteSocket } from "./byte-socket.ts";
import { ForwardCounters } from "./counters.ts";
import type { ByteEnd, ByteSink, Visit } from "./ends.ts";
import type { GateHost, ProxyGate } from "./proxy-gate.ts";
import { SILENT_SINK } from "./silent-sink.ts";

/** Who has a connection from the moment that its client is known. */
export interface GatedOwner {
  receive(bytes: Uint8Array): void;
  drain(): void;
  socketClosed(error: Error | undefined): void;
}

type RawSocket = Pick<ByteSocket<unknown>, "remoteAddress" | "remotePort" | "localAddress" | "end" | "terminate">;

/**
 * Whose connection it is, is known: returns who has it from now on; null = it was cut. `first` is what the owner will hear
 * first, if it came with the header, for those who need it at once.
 */
export type TakeGated<Owner extends GatedOwner> = (visit: Visit, first: Uint8Array | null) => Owner | null;

/** A port of this program's own at the gate: one of its servers, which knows sockets and no visits of forwards. */
export class GatedPort {
  readonly #gate: ProxyGate;
  /** Of no forward: what is refused is told by the gate. */
  readonly #host: GateHost = {
    counters: new ForwardCounters(),
    receive: (end, visit) => {
      if (end instanceof GatedSocket) end.known(visit);
    },
  };

  constructor(gate: ProxyGate) {
    this.#gate = gate;
  }

  /** False: nobody is believed, and connections need not pass. */
  get active(): boolean {
    return this.#gate.active;
  }

  /**
   * A connection that was accepted at `port`, whose events its `data` hears from now on. `take` is called at once, when its
   * header has come, or never.
   */
  receive<Owner extends GatedOwner>(
    socket: RawSocket & { data: GatedSocket<Owner> | Owner | undefined },
    port: number,
    take: TakeGated<Owner>,
  ): void {
    const end = new GatedSocket(socket, take);
    socket.data = end;
    const visit: Visit = {
      visitor: { address: unmapped(socket.remoteAddress), port: socket.remotePort },
      entry: { address: unmapped(socket.localAddress), port },
      externalPort: port,
    };
    this.#gate.receive(end, visit, this.#host);
    end.settle();
  }

  /** Cuts those whose header has not come. */
  close(): void {
    this.#gate.close(this.#host);
  }
}

/** The `data` of a socket that came by a GatedPort: hears its events, from the first one on. */
export class GatedSocket<Owner extends GatedOwner = GatedOwner> implements ByteEnd {
  sink: ByteSink = SILENT_SINK;
  /** Null before it is known whose connection it is. */
  owner: Owner | null = null;
  readonly #socket: RawSocket;
  readonly #take: TakeGated<Owner>;
  /** Whose it is, until the owner has taken it. */
  #visit: Visit | null = null;
  #first: Uint8Array | null = null;
  /** The gate may stand before it, to look at the first bytes. */
  readonly #handOn: ByteSink = {
    onOpen: () => undefined,
    onData: (bytes) => {
      if (this.#visit === null) this.owner?.receive(bytes);
      else this.#first = bytes;
    },
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  };

  constructor(socket: RawSocket, take: TakeGated<Owner>) {
    this.#socket = socket;
    this.#take = take;
  }

  // ——— what the gate does with it ———

  /** The owner comes by `settle`, with what the gate hands on before that. */
  known(visit: Visit): void {
    this.#visit = visit;
    this.sink = this.#handOn;
  }

  /** Nothing is said before it is known to whom. */
  write(): number {
    return 0;
  }

  backlog(): void {}

  end(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.terminate();
  }

  // ——— the socket's events ———

  receive(bytes: Uint8Array): void {
    this.sink.onData(bytes);
    this.settle();
  }

  /** Its owner takes it over, if it is known now. */
  settle(): void {
    const [visit, first] = [this.#visit, this.#first];
    if (visit === null) return;
    this.#visit = null;
    this.#first = null;
    this.owner = this.#take(visit, first);
    if (first !== null) this.owner?.receive(first);
  }

  drain(): void {
    this.owner?.drain();
  }

  /** The peer's half-close, which none of these servers knows. */
  ended(): void {
    if (this.owner === null) this.sink.onEnd();
    else this.owner.socketClosed(undefined);
  }

  socketClosed(error: Error | undefined): void {
    const { sink } = this;
    this.sink = SILENT_SINK;
    sink.onClose("reset");
    this.owner?.socketClosed(error);
  }
}
