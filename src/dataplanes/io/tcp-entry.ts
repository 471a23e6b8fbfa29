import type { TCPSocketListener } from "bun";
import type { Endpoint } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { bindCandidates, isWildcard, unmapped } from "./bind-address.ts";
import type { Descriptors } from "./descriptors.ts";
import type { ByteEnd, Visit } from "./ends.ts";
import { type EntryError, entryError, errorCode } from "./entry-error.ts";
import type { Sweeper } from "./sweeper.ts";
import { type Acceptor, TcpEnd } from "./tcp-end.ts";
import type { Turnstile } from "./turnstile.ts";
import { bindUdp } from "./udp-socket.ts";

/** A port that an entry listens on. `externalPort` is the port set's number for it: 0 when any free one was asked for. */
export interface EntryPort {
  readonly endpoint: Endpoint;
  readonly externalPort: number;
}

/** Hears of each visitor. It joins `end` or resets it before it returns. */
export type OnTcpVisitor = (end: ByteEnd, visit: Visit) => void;

/** The listeners of one forward in one protocol; ports are named as the forward's port set numbers them. */
export interface Listeners {
  readonly ports: readonly EntryPort[];
  /** Opens those that are not open yet, all of them, or none and returns the first error. */
  open(numbers: ReadonlySet<number>): Result<null, EntryError>;
  /** Closes all others. */
  keep(numbers: ReadonlySet<number>): Result<null, EntryError>;
}

/** The TCP ports of one forward at `bind` (an IP literal, or `*` for every address, dual-stack). */
export class TcpPorts implements Listeners {
  readonly #listeners = new Map<number, PortListener>();

  constructor(
    readonly bind: string,
    readonly onVisitor: OnTcpVisitor,
    readonly shared: Shared,
  ) {}

  get ports(): readonly EntryPort[] {
    return [...this.#listeners.values()];
  }

  open(numbers: ReadonlySet<number>): Result<null, EntryError> {
    const before = new Set(this.#listeners.keys());
    for (const number of numbers) {
      if (before.has(number)) continue;
      const listener = PortListener.open(this.bind, number, this.onVisitor, this.shared);
      if (!listener.ok) {
        this.keep(before);
        return listener;
      }
      this.#listeners.set(number, listener.value);
    }
    return ok(null);
  }

  /** The connections that came by the others live on. */
  keep(numbers: ReadonlySet<number>): Result<null, EntryError> {
    for (const [number, listener] of this.#listeners) {
      if (numbers.has(number)) continue;
      listener.close();
      this.#listeners.delete(number);
    }
    return ok(null);
  }

  /** Stops accepting; connections live on. */
  close(): void {
    this.keep(new Set());
  }
}

/** What the sockets of one process have in common. */
type Shared = Pick<Sweeper, "turnstile" | "descriptors">;

class PortListener implements Acceptor, EntryPort {
  endpoint: Endpoint;
  readonly turnstile: Turnstile;
  readonly descriptors: Descriptors;
  #listener: TCPSocketListener<Acceptor> | null = null;
  readonly #wildcard: boolean;

  private constructor(
    address: string,
    readonly externalPort: number,
    readonly onVisitor: OnTcpVisitor,
    { turnstile, descriptors }: Shared,
  ) {
    this.turnstile = turnstile;
    this.descriptors = descriptors;
    this.endpoint = { address, port: externalPort };
    this.#wildcard = isWildcard(address);
  }

  static open(bind: string, port: number, onVisitor: OnTcpVisitor, shared: Shared): Result<PortListener, EntryError> {
    let failure: unknown = null;
    for (const address of bindCandidates(bind)) {
      const listener = new PortListener(address, port, onVisitor, shared);
      const error = listener.#listen();
      if (error === null) return ok(listener);
      failure = error;
      // `*` on a machine without IPv6: IPv4 alone is every address.
      if (errorCode(error) === "EADDRINUSE") break;
    }
    return err(entryError(failure, "tcp", bind, port));
  }

  #listen(): unknown {
    const { address, port } = this.endpoint;
    try {
      this.#listener = Bun.listen<Acceptor>({
        hostname: address,
        port,
        allowHalfOpen: true,
        data: this,
        socket: TcpEnd.ACCEPT_HANDLERS,
      });
    } catch (error) {
      return errorCode(error) === null ? this.#unnamed(error) : error;
    }
    this.endpoint = { address, port: this.#listener.port };
    return null;
  }

  /** Bun 1.4.5 gives no code when socket(2) fails (EMFILE, no IPv6): a UDP socket at the address tells which. */
  #unnamed(error: unknown): unknown {
    const probe = bindUdp(this.endpoint.address, 0, {});
    if (!probe.ok) return probe.error;
    probe.value.close();
    return error;
  }

  accepted(end: TcpEnd, remoteAddress: string, remotePort: number): void {
    this.onVisitor(end, {
      visitor: { address: unmapped(remoteAddress), port: remotePort },
      entry: this.#wildcard ? { address: unmapped(end.localAddress), port: this.endpoint.port } : this.endpoint,
      externalPort: this.externalPort,
    });
  }

  close(): void {
    this.#listener?.stop(false);
    this.#listener = null;
  }
}
