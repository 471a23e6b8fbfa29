import { errorCode } from "../../os/errors.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { bindCandidates, isWildcard, unmapped } from "./bind-address.ts";
import type { ByteListener } from "./byte-socket.ts";
import type { Descriptors } from "./descriptors.ts";
import type { PlainEnd, Visit } from "./ends.ts";
import { type EntryError, entryError } from "./entry-error.ts";
import { type Listener, Listeners } from "./listeners.ts";
import { BESIDE, type PortSharing } from "./port-sharing.ts";
import { sockets } from "./sockets.ts";
import type { Sweeper } from "./sweeper.ts";
import { type Acceptor, TcpEnd } from "./tcp-end.ts";
import type { Turnstile } from "./turnstile.ts";
import { bindUdp } from "./udp-socket.ts";

/** Hears of each visitor. It joins `end` or resets it before it returns. */
export type OnTcpVisitor = (end: PlainEnd, visit: Visit) => void;

/**
 * The TCP listeners of one forward at `bind` (an IP literal, or `*` for every address, dual-stack). The connections
 * that came by a listener which is closed live on.
 */
export function tcpListeners(
  bind: string,
  onVisitor: OnTcpVisitor,
  shared: Shared,
  sharing: PortSharing | null,
): Listeners<Listener> {
  return new Listeners((port) => PortListener.open(bind, port, onVisitor, shared, sharing));
}

/** What the sockets of one process have in common. */
type Shared = Pick<Sweeper, "turnstile" | "descriptors">;

class PortListener implements Acceptor, Listener {
  endpoint: Endpoint;
  readonly turnstile: Turnstile;
  readonly descriptors: Descriptors;
  binding: Promise<EntryError | null> | null = null;
  #listener: ByteListener | null = null;
  readonly #wildcard: boolean;
  readonly #sharing: PortSharing | null;

  private constructor(
    address: string,
    readonly externalPort: number,
    readonly onVisitor: OnTcpVisitor,
    { turnstile, descriptors }: Shared,
    sharing: PortSharing | null,
  ) {
    this.#sharing = sharing;
    this.turnstile = turnstile;
    this.descriptors = descriptors;
    this.endpoint = { address, port: externalPort };
    this.#wildcard = isWildcard(address);
  }

  static open(
    bind: string,
    port: number,
    onVisitor: OnTcpVisitor,
    shared: Shared,
    sharing: PortSharing | null,
  ): Result<PortListener, EntryError> {
    let failure: unknown = null;
    for (const address of bindCandidates(bind)) {
      const listener = new PortListener(address, port, onVisitor, shared, sharing);
      const error = listener.#listen();
      if (error === null) return ok(listener.#bound(bind));
      failure = error;
      // `*` on a machine without IPv6: IPv4 alone is every address.
      if (errorCode(error) === "EADDRINUSE") break;
    }
    return err(entryError(failure, "tcp", bind, port));
  }

  #listen(): unknown {
    const { address, port } = this.endpoint;
    const beside = this.#sharing?.isBeside("tcp", port) ?? false;
    try {
      this.#listener = sockets.listen<Acceptor>({
        hostname: address,
        port,
        allowHalfOpen: true,
        data: this,
        socket: TcpEnd.ACCEPT_HANDLERS,
        ...(beside ? BESIDE : {}),
      });
    } catch (error) {
      return errorCode(error) === null ? this.#unnamed(error) : error;
    }
    this.endpoint = { address, port: this.#listener.port };
    if (beside) this.#sharing?.steerHere(this.#listener);
    return null;
  }

  /** Where the runtime binds later, its port and its failure are known then. */
  #bound(bind: string): this {
    const listener = this.#listener;
    this.binding =
      listener?.binding?.then((error) => {
        if (error !== null) return entryError(error, "tcp", bind, this.externalPort);
        this.endpoint = { ...this.endpoint, port: listener.port };
        return null;
      }) ?? null;
    return this;
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

  setShared(shared: boolean): boolean {
    return this.#listener === null || (this.#sharing?.setShared(this.#listener, shared) ?? false);
  }

  close(): void {
    this.#listener?.stop(false);
    this.#listener = null;
  }
}
