import { SourceRate } from "../../core/source-rate.ts";
import type { SystemSockets } from "../../dataplanes/io/system-sockets.ts";
import type { After } from "../../os/timers.ts";
import { parseAddress } from "../../wire/address.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import {
  encodeHttpResponse,
  HTTP_CONTINUE,
  type HttpRequest,
  type HttpRequestReader,
  type HttpResponse,
  newHttpRequestReader,
} from "../../wire/igd/http.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type InsideBindFailure, insideBindFailure, keepInside } from "../inside-bind.ts";
import { type Answering, answerRequest, answerUnreadable } from "./answer.ts";

/**
 * The HTTP side, on connections of our own rather than on Bun.serve: that has no bound on connections, no deadline for a
 * whole request and no descriptor to keep to an interface. One request a connection, all of it bounded.
 */
export interface HttpOptions {
  readonly interfaceName: string;
  readonly address: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Whether a peer is a host on the link: others are cut off without an answer. */
  readonly isNeighbour: (peer: string) => boolean;
  readonly answering: Answering;
  readonly connections: Connections;
  readonly system: SystemSockets;
  readonly onError: (error: unknown) => void;
}

export interface HttpListener {
  readonly endpoint: Endpoint;
  close(): void;
}

/** From the connection to the whole request: a head and a body of 12 KB. */
const REQUEST_MS = 10_000;
/** UPnP Device Architecture 1.1 §3.2: an answer within 30 s. */
const ANSWER_MS = 30_000;
/** From the answer's last byte to the client's end. */
const FAREWELL_MS = 2_000;
/** What may still come from a client that was answered before it was done. */
const FAREWELL_BYTES = 64 * 1024;
/** A control point has one connection, or a few. */
const MAX_PER_PEER = 16;
const MAX_CONNECTIONS = 128;
/** Bursts of 400: who lists its mappings one by one asks as often as it has some. */
const REQUESTS_PER_PEER_PER_SEC = 200;
const MAX_PEERS = 4096;

type Stage = "reading" | "answering" | "writing" | "leaving";
type Socket = Bun.Socket<Connection | null>;

/** A connection as the others know it. */
export interface Admitted {
  readonly peer: string;
  readonly stage: Stage;
  /** Ends at once. */
  cut(): void;
}

/** The connections of all listeners of a server, within their number and their time. */
export class Connections {
  readonly #all = new Set<Admitted>();
  readonly #perPeer = new Map<string, number>();
  readonly #rate = new SourceRate(REQUESTS_PER_PEER_PER_SEC, MAX_PEERS);

  constructor(
    readonly after: After,
    readonly nowMs: () => number,
  ) {}

  get size(): number {
    return this.#all.size;
  }

  /** False = there are too many. When all places are taken, the oldest that waits for its client makes room. */
  admit(connection: Admitted): boolean {
    const { peer } = connection;
    const count = this.#perPeer.get(peer) ?? 0;
    if (count >= MAX_PER_PEER || !this.#rate.take(peer, this.nowMs())) return false;
    if (this.#all.size >= MAX_CONNECTIONS) {
      const oldest = [...this.#all].find(({ stage }) => stage !== "answering");
      if (oldest === undefined) return false;
      oldest.cut();
    }
    this.#all.add(connection);
    this.#perPeer.set(peer, count + 1);
    return true;
  }

  leave(connection: Admitted): void {
    if (!this.#all.delete(connection)) return;
    const count = (this.#perPeer.get(connection.peer) ?? 1) - 1;
    if (count === 0) this.#perPeer.delete(connection.peer);
    else this.#perPeer.set(connection.peer, count);
  }

  close(): void {
    for (const connection of [...this.#all]) connection.cut();
  }
}

export function listenHttp(options: HttpOptions): Result<HttpListener, InsideBindFailure> {
  const { address, port, interfaceName, system, onError, isNeighbour } = options;
  let listener: Bun.TCPSocketListener<Connection | null>;
  try {
    listener = Bun.listen<Connection | null>({
      hostname: address,
      port,
      allowHalfOpen: true,
      data: null,
      socket: {
        open(socket) {
          // A client that is gone already has none.
          const peer = parseAddress(socket.remoteAddress ?? "");
          socket.data = null;
          if (!peer.ok || !isNeighbour(peer.value)) {
            socket.terminate();
            return;
          }
          const connection = new Connection(socket, peer.value, { address, port: listener.port }, options);
          if (options.connections.admit(connection)) socket.data = connection;
          else connection.cut();
        },
        data: (socket, bytes) => socket.data?.read(bytes),
        drain: (socket) => socket.data?.write(),
        end: (socket) => socket.data?.ended(),
        close: (socket) => socket.data?.closed(),
        error(socket, error) {
          onError(error);
          socket.terminate();
        },
      },
    });
  } catch (error) {
    return err(insideBindFailure(error, "tcp", options));
  }
  const stray = keepInside(listener, interfaceName, system);
  if (stray !== null) {
    listener.stop(true);
    return err(stray);
  }
  return ok({ endpoint: { address, port: listener.port }, close: () => listener.stop(true) });
}

class Connection implements Admitted {
  stage: Stage = "reading";
  /** Null = it has read what it will. */
  #reader: HttpRequestReader | null = newHttpRequestReader();
  #callOff: () => void;
  #saidContinue = false;
  #gone = false;
  #peerEnded = false;
  /** What is still to be written. */
  #rest: Uint8Array = new Uint8Array(0);
  #ignoredBytes = 0;

  constructor(
    readonly socket: Socket,
    readonly peer: string,
    readonly local: Endpoint,
    readonly options: HttpOptions,
  ) {
    this.#callOff = options.connections.after(REQUEST_MS, () => this.cut());
  }

  read(bytes: Uint8Array): void {
    if (this.#reader === null) {
      this.#ignoredBytes += bytes.length;
      if (this.#ignoredBytes > FAREWELL_BYTES) this.cut();
      return;
    }
    const request = this.#reader.push(bytes);
    if (!request.ok) {
      this.#respond(answerUnreadable(request.error, this.options.answering.serverName), true);
    } else if (request.value !== null) {
      this.#answer(request.value);
    } else if (!this.#saidContinue && this.#reader.awaitsContinue) {
      this.#saidContinue = true;
      this.socket.write(HTTP_CONTINUE);
    }
  }

  #answer(request: HttpRequest): void {
    this.#enter("answering", ANSWER_MS);
    answerRequest(request, this.peer, this.local, this.options.answering).then(
      (response) => this.#respond(response, request.method !== "HEAD"),
      (error: unknown) => {
        this.options.onError(error);
        this.cut();
      },
    );
  }

  #respond(response: HttpResponse, withBody: boolean): void {
    if (this.#gone) return;
    this.#rest = encodeHttpResponse(response, withBody);
    this.#enter("writing", ANSWER_MS);
    this.write();
  }

  /** Writes on; after the last byte the client is left to end (a reset would take the answer away, RFC 9112 §9.6). */
  write(): void {
    if (this.stage !== "writing") return;
    const written = this.socket.write(this.#rest);
    if (written < 0) {
      this.cut();
      return;
    }
    this.#rest = this.#rest.subarray(written);
    if (this.#rest.length > 0) return;
    if (this.#peerEnded) {
      this.socket.end();
      return;
    }
    this.#enter("leaving", FAREWELL_MS);
    this.socket.shutdown();
  }

  /** The client has said all: without a whole request there is nothing to answer, after the answer nothing to wait for. */
  ended(): void {
    this.#peerEnded = true;
    if (this.stage === "reading") this.cut();
    else if (this.stage === "leaving") this.socket.end();
  }

  closed(): void {
    this.#gone = true;
    this.#callOff();
    this.options.connections.leave(this);
  }

  /** Ends at once. */
  cut(): void {
    this.closed();
    this.socket.terminate();
  }

  #enter(stage: Stage, forMs: number): void {
    this.stage = stage;
    this.#reader = null;
    this.#callOff();
    this.#callOff = this.options.connections.after(forMs, () => this.cut());
  }
}
