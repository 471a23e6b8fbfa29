import type { SecureContext } from "node:tls";
import type { ByteSocket, TlsByteSocket, TlsHandlers } from "./byte-socket.ts";

/** How a connection's TLS is ended here. */
export interface ServerTls {
  readonly context: SecureContext;
  /** What its client is told of those that it offers (ALPN, RFC 7301); null = nothing. */
  readonly protocol: string | null;
}

/** What Bun 1.4.5 takes, and its types do not name: what its own `node:tls` gives its sockets. */
interface Upgrade<Data> {
  readonly isServer: true;
  readonly initialData: Uint8Array;
  readonly data: Data;
  readonly tls: {
    readonly secureContext: unknown;
    readonly ALPNProtocols?: Uint8Array;
    readonly requestCert: false;
    readonly rejectUnauthorized: false;
  };
  readonly socket: TlsHandlers<Data>;
}

interface Upgradable {
  upgradeTLS<Data>(options: Upgrade<Data>): readonly [raw: unknown, secured: TlsByteSocket<Data>];
}

/**
 * Begins TLS as the server of a socket that was read from: `hello` is what came. `handlers.open` is called before this returns,
 * and `handlers.handshake` when it is known whether it came to its end. The plain socket, whose `data` is null from then on, goes on telling every encrypted byte.
 */
export function beginServerTls<Data>(
  socket: ByteSocket<unknown>,
  { context, protocol }: ServerTls,
  hello: Uint8Array,
  data: Data,
  handlers: TlsHandlers<Data>,
): void {
  socket.data = null;
  // A context may be that of many connections: tickets of one are good for the next.
  const secureContext: unknown = context.context;
  (socket as unknown as Upgradable).upgradeTLS<Data>({
    isServer: true,
    initialData: hello,
    data,
    tls: {
      secureContext,
      requestCert: false,
      rejectUnauthorized: false,
      ...(protocol === null ? {} : { ALPNProtocols: protocolsOf(protocol) }),
    },
    socket: handlers,
  });
}

/** RFC 7301 wire form: one length-prefixed name. */
function protocolsOf(protocol: string): Uint8Array {
  const name = Buffer.from(protocol, "latin1");
  return Buffer.concat([Buffer.from([name.length]), name]);
}
