import { strict as assert } from "node:assert";
import { once } from "node:events";
import { createServer as createTlsServer } from "node:tls";
import type {
  ByteHandlers,
  ByteListener,
  ByteSocket,
  Sockets,
  TlsByteSocket,
} from "../../src/dataplanes/io/byte-socket.ts";

/**
 * What every runtime's sockets do (byte-socket.ts): one suite for Bun's and for those of node:net, which run on Bun and on
 * Node. Without bun:test, so that it runs on both.
 */
type Socket = ByteSocket<Peer>;
const HERE = "127.0.0.1";
const MIB = 1024 * 1024;

/** One end of a connection, and what it heard. */
class Peer {
  socket: Socket | null = null;
  readonly events: string[] = [];
  bytes = 0;
  text = "";
  error: Error | undefined;
  /** What is still to be written; `drain` goes on with it. */
  #rest: Uint8Array | null = null;
  #wake = Promise.withResolvers<void>();

  heard(event: string): void {
    if (event !== "data" && event !== "drain") this.events.push(event);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async when(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#wake.promise;
  }

  get open(): Socket {
    assert.ok(this.socket !== null);
    return this.socket;
  }

  /** Returns how many bytes could not leave yet. */
  write(bytes: Uint8Array): number {
    const written = this.open.write(bytes);
    this.#rest = written < 0 || written === bytes.length ? null : bytes.slice(written);
    return this.#rest?.length ?? 0;
  }

  drained(): void {
    if (this.#rest !== null) this.write(this.#rest);
  }

  get waitingBytes(): number {
    return this.#rest?.length ?? 0;
  }
}

function handlers(own: (socket: Socket) => Peer): ByteHandlers<Peer> {
  return {
    open(socket) {
      socket.data = own(socket);
      socket.data.socket = socket;
      socket.data.heard("open");
    },
    data(socket, bytes) {
      socket.data.bytes += bytes.length;
      if (socket.data.text.length < 100) socket.data.text += Buffer.from(bytes).toString();
      socket.data.heard("data");
    },
    drain(socket) {
      socket.data.drained();
      socket.data.heard("drain");
    },
    end: (socket) => socket.data.heard("end"),
    close(socket, error) {
      socket.data.error = error;
      socket.data.heard("close");
    },
    connectError(socket, error) {
      if (socket === null) return;
      socket.data.error = error;
      socket.data.heard("connectError");
    },
    error: (_socket, error) => {
      throw error;
    },
  };
}

async function listening(listener: ByteListener): Promise<number> {
  assert.equal(await listener.binding, null);
  assert.ok(listener.port > 0);
  return listener.port;
}

interface Pair extends AsyncDisposable {
  readonly dialled: Peer;
  readonly accepted: Peer;
  readonly port: number;
}

async function pair(sockets: Sockets): Promise<Pair> {
  const accepted = new Peer();
  const dialled = new Peer();
  const accepting = handlers(() => accepted);
  const listener = sockets.listen({ hostname: HERE, port: 0, allowHalfOpen: true, data: accepted, socket: accepting });
  const port = await listening(listener);
  sockets.dial({ hostname: HERE, port, allowHalfOpen: true, data: dialled, socket: handlers(() => dialled) });
  await Promise.all([dialled.when(() => dialled.socket !== null), accepted.when(() => accepted.socket !== null)]);
  return {
    dialled,
    accepted,
    port,
    async [Symbol.asyncDispose]() {
      listener.stop(true);
      for (const { socket, events } of [dialled, accepted]) if (!events.includes("close")) socket?.terminate();
    },
  };
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

export const SOCKET_CASES: Record<string, (sockets: Sockets) => Promise<void>> = {
  async "bytes go both ways, and each side knows the other's address"(sockets) {
    await using ends = await pair(sockets);
    const { dialled, accepted, port } = ends;
    assert.deepEqual([dialled.open.remoteAddress, dialled.open.remotePort], [HERE, port]);
    assert.deepEqual(
      [dialled.open.localAddress, accepted.open.localAddress, accepted.open.remoteAddress],
      [HERE, HERE, HERE],
    );
    assert.equal(dialled.open.write(bytesOf("ping")), 4);
    await accepted.when(() => accepted.text === "ping");
    accepted.open.write(bytesOf("pong"));
    await dialled.when(() => dialled.text === "pong");
    dialled.open.setKeepAlive(true, 60_000);
  },

  async "what is written may be reused at once"(sockets) {
    await using ends = await pair(sockets);
    const buffer = new Uint8Array(3 * MIB).fill(97);
    let written = 0;
    ends.accepted.open.pause();
    written = ends.dialled.open.write(buffer);
    buffer.fill(98);
    ends.accepted.open.resume();
    await ends.accepted.when(() => ends.accepted.bytes >= written);
    assert.ok(!ends.accepted.text.includes("b"), "a reused buffer was sent");
  },

  async "each side half-closes, and still receives"(sockets) {
    await using ends = await pair(sockets);
    const { dialled, accepted } = ends;
    dialled.open.write(bytesOf("request"));
    dialled.open.shutdown();
    await accepted.when(() => accepted.events.includes("end"));
    assert.equal(accepted.text, "request");
    accepted.open.write(bytesOf("answer"));
    await dialled.when(() => dialled.text === "answer");
    accepted.open.end();
    await Promise.all([dialled, accepted].map((peer) => peer.when(() => peer.events.includes("close"))));
    assert.deepEqual([dialled.error, accepted.error], [undefined, undefined]);
  },

  async "a reader that stands still holds its writer back, which goes on at drain"(sockets) {
    await using ends = await pair(sockets);
    const { dialled, accepted } = ends;
    accepted.open.pause();
    let offered = 0;
    while (dialled.waitingBytes === 0 && offered < 64 * MIB) {
      offered += MIB;
      dialled.write(new Uint8Array(MIB));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(offered < 64 * MIB, "it took everything");
    accepted.open.resume();
    await accepted.when(() => accepted.bytes === offered);
    assert.equal(dialled.waitingBytes, 0);
  },

  async "terminate closes within the call; the other side hears of a reset"(sockets) {
    await using ends = await pair(sockets);
    const { dialled, accepted } = ends;
    dialled.open.terminate();
    assert.deepEqual(dialled.events, ["open", "close"]);
    assert.equal(dialled.open.write(bytesOf("late")), -1);
    await accepted.when(() => accepted.events.includes("close"));
    assert.equal((accepted.error as { code?: string } | undefined)?.code, "ECONNRESET");
    assert.equal(accepted.open.write(bytesOf("late")), -1);
  },

  async "where nobody listens a dial fails once"(sockets) {
    const listener = sockets.listen({
      hostname: HERE,
      port: 0,
      allowHalfOpen: true,
      data: new Peer(),
      socket: handlers(() => new Peer()),
    });
    const port = await listening(listener);
    listener.stop(true);
    const peer = new Peer();
    sockets.dial({ hostname: HERE, port, allowHalfOpen: true, data: peer, socket: handlers(() => peer) });
    await peer.when(() => peer.events.length > 0);
    assert.deepEqual(peer.events, ["connectError"]);
    assert.equal((peer.error as { code?: string } | undefined)?.code, "ECONNREFUSED");
  },

  async "a port in use is told by its code, at once or when it binds"(sockets) {
    const options = {
      hostname: HERE,
      allowHalfOpen: true,
      data: new Peer(),
      socket: handlers(() => new Peer()),
    } as const;
    const first = sockets.listen({ ...options, port: 0 });
    const port = await listening(first);
    let failure: unknown = null;
    try {
      failure = await sockets.listen({ ...options, port }).binding;
    } catch (error) {
      failure = error;
    }
    assert.equal((failure as { code?: string } | null)?.code, "EADDRINUSE");
    first.stop(true);
  },
};

/** TLS as an agent dials it; `certificate` is of an authority that nobody knows, and for another name. */
export async function tlsCase(
  sockets: Sockets,
  certificate: { readonly cert: string; readonly key: string },
): Promise<void> {
  const label = "EXPORTER-hatchway-test";
  const exported = Promise.withResolvers<string>();
  const server = createTlsServer({ ...certificate, ALPNProtocols: ["hatchway/1"], minVersion: "TLSv1.3" }, (socket) => {
    exported.resolve(socket.exportKeyingMaterial(32, label, Buffer.alloc(0)).toString("hex"));
    socket.pipe(socket);
  });
  server.listen(0, HERE);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const peer = new Peer();
  const shaken = Promise.withResolvers<[TlsByteSocket<Peer>, boolean, Error | null]>();
  sockets.dialTls<Peer>({
    hostname: HERE,
    port,
    tls: {
      rejectUnauthorized: false,
      serverName: HERE,
      ALPNProtocols: Buffer.from("\nhatchway/1"),
      minVersion: 0x0304,
    },
    socket: {
      ...(handlers(() => peer) as ByteHandlers<Peer, TlsByteSocket<Peer>>),
      handshake: (socket, success, error) => shaken.resolve([socket, success, error]),
    },
  });
  const [socket, success, error] = await shaken.promise;
  // Whoever pins a key looks at the certificate; verification says that nobody vouches for it.
  if (!success)
    assert.match(
      (error as { code?: string } | null)?.code ?? "",
      /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
    );
  for (const _ of [1, 2]) assert.ok((socket.getPeerX509Certificate()?.raw.length ?? 0) > 100);
  assert.equal(socket.alpnProtocol, "hatchway/1");
  assert.equal(
    Buffer.from(socket.exportKeyingMaterial(32, label, Buffer.alloc(0))).toString("hex"),
    await exported.promise,
  );
  socket.write(bytesOf("ping"));
  await peer.when(() => peer.text === "ping");
  socket.terminate();
  assert.ok(peer.events.includes("close"));
  server.close();
}
