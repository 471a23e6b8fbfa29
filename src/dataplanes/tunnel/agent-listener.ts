import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import { unmapped } from "../io/bind-address.ts";
import type { Descriptors } from "../io/descriptors.ts";
import type { GatedOwner, GatedPort, GatedSocket } from "../io/gated-port.ts";
import { BESIDE, type PortSharing } from "../io/port-sharing.ts";
import { hasGone } from "../io/tcp-end.ts";
import type { Carrier } from "./carrier.ts";
import { ALPN_WIRE, type CertificatePair, TLS_1_3_ONLY } from "./tls.ts";

/** Where a connection comes from and what it came to: by its socket, or by what a load balancer says. */
export interface CarrierEnds {
  readonly remoteAddress: string;
  readonly localAddress: string;
}

export interface AgentListenerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly certificate: CertificatePair;
  /** PEM of the CA that agents' certificates must chain to; null = agents need none. */
  readonly clientCa: string | null;
  readonly sharing: PortSharing | null;
  /** Null = connections are whom their sockets show. */
  readonly gated: GatedPort | null;
  readonly descriptors: Descriptors;
  /** False: it is cut, before TLS. */
  admit(ends: CarrierEnds): boolean;
  /** One that was admitted begins TLS. Sets `socket.data`. */
  begin(socket: Socket<Carrier>, ends: CarrierEnds): void;
  /** From then on. */
  readonly handlers: Required<Pick<SocketHandler<Carrier>, "handshake" | "data" | "drain" | "close" | "error">>;
}

/** What Bun 1.4.5 takes, and its types do not name: as a server, and of a connection that was read from already. */
interface ServerUpgrade {
  readonly isServer: true;
  readonly initialData?: Uint8Array;
}

/** Of the bytes below TLS the gate alone is told, until it has seen enough of them. */
const BELOW_TLS: GatedOwner = Object.freeze({ receive() {}, drain() {}, socketClosed() {} });

/**
 * The agent port's listener: TLS from the first byte, or, while load balancers are believed, TLS after their header. Of a
 * connection that began without TLS Bun tells every encrypted byte that comes as well: a tenth more CPU time for what agents
 * send (decision 0046), so nobody pays for that who lists nobody.
 */
export class AgentListener {
  readonly port: number;
  /** Load balancers are believed here. */
  readonly takesHeaders: boolean;
  readonly #options: AgentListenerOptions;
  readonly #tls: Bun.TLSOptions & typeof TLS_1_3_ONLY;
  readonly #listener: TCPSocketListener<Carrier> | TCPSocketListener<GatedSocket | undefined>;

  /** Throws what Bun.listen throws (EADDRINUSE …): the caller classifies it. */
  constructor(options: AgentListenerOptions) {
    const { hostname, port, certificate, clientCa, sharing, gated } = options;
    this.#options = options;
    this.#tls = {
      ...certificate,
      ALPNProtocols: ALPN_WIRE,
      ...TLS_1_3_ONLY,
      ...(clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
    };
    this.takesHeaders = gated?.active === true;
    const beside = sharing?.isBeside("tcp", port) ?? false;
    const place = { hostname, port, ...(beside ? BESIDE : {}) };
    this.#listener = gated?.active === true ? this.#listenBelowTls(place, gated) : this.#listenTls(place);
    if (beside) sharing?.steerHere(this.#listener);
    this.port = this.#listener.port;
  }

  #listenTls(place: { readonly hostname: string; readonly port: number }): TCPSocketListener<Carrier> {
    const { admit, begin, handlers } = this.#options;
    return Bun.listen<Carrier>({
      ...place,
      tls: this.#tls,
      socket: {
        ...handlers,
        open: (socket) => {
          const ends = hasGone(socket) ? null : endsOf(socket);
          if (ends !== null && admit(ends)) begin(socket, ends);
          else socket.terminate();
        },
      },
    });
  }

  #listenBelowTls(
    place: { readonly hostname: string; readonly port: number },
    gated: GatedPort,
  ): TCPSocketListener<GatedSocket | undefined> {
    return Bun.listen<GatedSocket | undefined>({
      ...place,
      data: undefined,
      socket: {
        open: (socket) => {
          if (hasGone(socket) || this.#options.descriptors.scarce) socket.terminate();
          else this.#accept(socket, gated);
        },
        data: (socket, bytes) => socket.data?.receive(bytes),
        drain: () => undefined,
        end: (socket) => socket.data?.ended(),
        close: (socket, error) => socket.data?.socketClosed(error),
        error: (socket, error) => {
          socket.terminate();
          reportError(error);
        },
      },
    });
  }

  #accept(socket: Socket<GatedSocket | undefined>, gated: GatedPort): void {
    gated.receive(socket, this.port, ({ visitor, entry }, first) => {
      const ends = { remoteAddress: visitor.address, localAddress: entry.address };
      if (this.#options.admit(ends)) this.#beginTls(socket, ends, first);
      else socket.terminate();
      return BELOW_TLS;
    });
  }

  #beginTls(socket: Socket<GatedSocket | undefined>, ends: CarrierEnds, first: Uint8Array | null): void {
    const { begin, handlers } = this.#options;
    const server: ServerUpgrade = { isServer: true, ...(first === null ? {} : { initialData: first }) };
    socket.upgradeTLS<Carrier>({
      tls: this.#tls,
      // Called before upgradeTLS returns, and before the first bytes are looked at.
      socket: { ...handlers, open: (secured) => begin(secured, ends) },
      ...server,
    });
  }

  /** Lets another process of this relay listen at its port too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    return this.#options.sharing?.setShared(this.#listener, shared) ?? false;
  }

  /** Connections go on. */
  stop(): void {
    this.#listener.stop();
  }
}

function endsOf({ remoteAddress, localAddress }: Socket<Carrier>): CarrierEnds {
  return { remoteAddress: unmapped(remoteAddress), localAddress: unmapped(localAddress) };
}
