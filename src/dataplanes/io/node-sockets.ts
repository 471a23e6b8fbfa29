import type { X509Certificate } from "node:crypto";
import type * as net from "node:net";
import type * as tls from "node:tls";
import type { ByteHandlers, ByteListener, ByteSocket, Sockets, TlsByteSocket, TlsDialOptions } from "./byte-socket.ts";

/** The sockets of node:net and node:tls behind the handlers that the data planes have (contract: test/contract/sockets.ts). */
export function nodeSockets(): Sockets {
  // Not imported: Bun, which seldom comes here, would load them at its start.
  const { createServer, connect, isIP } = process.getBuiltinModule("node:net");
  return {
    dial: ({ hostname, port, allowHalfOpen, data, socket: handlers }) => {
      const raw = connect({ host: hostname, port, allowHalfOpen, noDelay: true });
      const socket = new NodeSocket(raw, data, handlers);
      raw.once("connect", () => socket.opened());
    },
    dialTls: (options) => dialTls(options, isIP(options.hostname) !== 0),
    listen: ({ hostname, port, allowHalfOpen, data, socket: handlers }) => {
      const server = createServer({ allowHalfOpen, noDelay: true, pauseOnConnect: false });
      server.on("connection", (raw) => {
        // Reset before it was accepted: nobody is there.
        if (raw.remoteAddress === undefined) raw.destroy();
        else new NodeSocket(raw, data, handlers).opened();
      });
      return new NodeListener(server, hostname, port);
    },
    tellsDialErrors: true,
  };
}

function dialTls<Data>({ hostname, port, tls: options, socket: handlers }: TlsDialOptions<Data>, isIp: boolean): void {
  const { connect } = process.getBuiltinModule("node:tls");
  const { ca, cert, key, serverName, ALPNProtocols } = options;
  const raw = connect({
    host: hostname,
    port,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // RFC 6066 section 3: an address is no server name, and Node warns of one.
    ...(isIp ? {} : { servername: serverName }),
    ALPNProtocols,
    minVersion: "TLSv1.3",
    // What verification says comes with the handshake: the handler decides, as on Bun, and nothing is sent before.
    rejectUnauthorized: false,
  });
  raw.setNoDelay(true);
  const socket = new NodeTlsSocket(raw, undefined as Data, handlers);
  raw.once("connect", () => socket.opened());
  raw.once("secureConnect", () => {
    handlers.handshake(socket, raw.authorized, raw.authorized ? null : verificationError(raw.authorizationError));
  });
}

/** An error of OpenSSL says in its message which line of OpenSSL found it; its reason is what there is to know. */
function plain(error: Error): Error {
  const { reason } = error as { readonly reason?: unknown };
  return typeof reason === "string" ? new Error(reason, { cause: error }) : error;
}

/** Node gives the code alone; of a name that differs, the whole error. */
function verificationError(given: unknown): Error {
  if (given instanceof Error) return given;
  return Object.assign(new Error(String(given)), { code: String(given) });
}

class NodeSocket<Data, Raw extends net.Socket, Self extends ByteSocket<Data>> implements ByteSocket<Data> {
  /** As they were when it opened: Node forgets them when it closes. */
  remoteAddress = "";
  remotePort = 0;
  localAddress = "";
  localPort = 0;
  #isOpen = false;
  /** The last event was told. */
  #isOver = false;
  #error: Error | undefined;

  constructor(
    protected readonly raw: Raw,
    public data: Data,
    readonly handlers: ByteHandlers<Data, Self>,
  ) {
    raw.on("error", (error) => {
      this.#error = plain(error);
    });
    raw.once("close", () => this.#closed());
  }

  opened(): void {
    const { raw, handlers } = this;
    this.#isOpen = true;
    this.remoteAddress = raw.remoteAddress ?? "";
    this.remotePort = raw.remotePort ?? 0;
    this.localAddress = raw.localAddress ?? "";
    this.localPort = raw.localPort ?? 0;
    raw.on("data", (bytes: Buffer) => {
      if (!this.#isOver) handlers.data(this.#self, bytes);
    });
    raw.on("drain", () => {
      if (!this.#isOver) handlers.drain(this.#self);
    });
    raw.once("end", () => {
      if (!this.#isOver) handlers.end?.(this.#self);
    });
    handlers.open(this.#self);
  }

  /** `Self` is what this class is extended to. */
  get #self(): Self {
    return this as unknown as Self;
  }

  #closed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const error = this.#error;
    if (this.#isOpen) this.handlers.close(this.#self, error);
    else this.handlers.connectError(this.#self, error ?? new Error("the connection was closed"));
  }

  write(bytes: Uint8Array): number {
    if (this.#isOver || !this.raw.writable) return -1;
    if (this.raw.writableNeedDrain) return 0;
    // Node keeps what it could not send at once, and the caller's buffer is reused.
    this.raw.write(Buffer.from(bytes));
    return bytes.length;
  }

  shutdown(): void {
    this.raw.end();
  }

  end(): void {
    this.raw.end();
  }

  terminate(): void {
    this.cut();
    this.#closed();
  }

  /** Over TCP the peer hears of it by a reset. */
  protected cut(): void {
    this.raw.resetAndDestroy();
  }

  pause(): void {
    this.raw.pause();
  }

  resume(): void {
    this.raw.resume();
  }

  setKeepAlive(enable: boolean, initialDelayMs: number): void {
    this.raw.setKeepAlive(enable, initialDelayMs);
  }
}

class NodeTlsSocket<Data> extends NodeSocket<Data, tls.TLSSocket, TlsByteSocket<Data>> implements TlsByteSocket<Data> {
  #certificate: X509Certificate | undefined;

  get alpnProtocol(): string | false | null {
    return this.raw.alpnProtocol;
  }

  getPeerX509Certificate(): X509Certificate | undefined {
    // Node 22 tells it once: the second call returns undefined.
    this.#certificate ??= this.raw.getPeerX509Certificate();
    return this.#certificate;
  }

  exportKeyingMaterial(length: number, label: string, context: Buffer): Uint8Array {
    return this.raw.exportKeyingMaterial(length, label, context);
  }

  protected override cut(): void {
    this.raw.destroy();
  }
}

/** Node binds in a later turn. */
class NodeListener implements ByteListener {
  readonly binding: Promise<unknown>;
  readonly #server: net.Server;

  constructor(server: net.Server, host: string, port: number) {
    this.#server = server;
    this.binding = new Promise((resolve) => {
      server.once("error", resolve);
      server.once("listening", () => {
        server.off("error", resolve);
        // Of accept(2), when descriptors are short: the visitor is lost, the listener is not.
        server.on("error", () => undefined);
        resolve(null);
      });
    });
    server.listen({ host, port });
  }

  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === "string" ? 0 : address.port;
  }

  stop(_closeConnections: boolean): void {
    this.#server.close();
  }
}
