import { constants, createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import { H2Conduct } from "../../core/names/h2-conduct.ts";
import { SlowReaders } from "../../core/names/slow-readers.ts";
import type { EndDuplex } from "../../dataplanes/io/end-duplex.ts";
import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import type { NamesContext } from "./context.ts";
import { H2Visitor } from "./h2-visitor.ts";
import { H2Wire } from "./h2-wire.ts";
import type { Arrival, Named } from "./http-arrival.ts";

/** As browsers expect it, and nginx has it. */
const MOST_STREAMS = 100;
const MAX_HEADER_BYTES = 32_768;

/** Serves visitors who speak HTTP/2 over TLS that was ended here. */
export class H2Server implements Sweepable {
  readonly #server: Http2Server;
  readonly #visitors = new Set<H2Visitor>();
  readonly #slow = new SlowReaders<H2Visitor>();
  /** Whose session is being made: it is told within the call. */
  #arriving: ((session: ServerHttp2Session) => void) | null = null;

  constructor(readonly context: NamesContext) {
    this.#server = createServer({
      maxHeaderListPairs: 200,
      settings: { maxConcurrentStreams: MOST_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
    });
    this.#server.on("session", (session) => this.#arriving?.(session));
    this.#server.on("sessionError", () => undefined);
    context.sweeper.add(this);
  }

  /** `below`: the stream that its TLS is written to. */
  receive(secured: TLSSocket, below: EndDuplex, arrival: Arrival, named: Named): void {
    const { sweeper } = this.context;
    let visitor: H2Visitor | null = null;
    const conduct = new H2Conduct(sweeper.nowMs());
    const wire = new H2Wire({
      secured,
      below,
      conduct,
      nowMs: () => sweeper.nowMs(),
      misbehaved: () => visitor?.sendAway("rateLimit", constants.NGHTTP2_ENHANCE_YOUR_CALM),
    });
    this.#arriving = (session) => {
      visitor = new H2Visitor({ context: this.context, session, wire, conduct, arrival, named });
      this.#keep(visitor, session);
    };
    this.#server.emit("connection", wire);
    this.#arriving = null;
    if (visitor !== null) return;
    this.context.unexpected(new Error("HTTP/2 made no session of a connection"));
    arrival.leavePlace();
    named.admission.leave(arrival.visit.visitor.address);
    wire.destroy();
  }

  sweep(nowMs: number): void {
    for (const visitor of this.#visitors) visitor.look(nowMs);
    for (const visitor of this.#slow.sweep(this.#visitors, nowMs)) {
      visitor.sendAway("idle", constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }

  /** Whoever is in is asked to come again for what it asks next, and gets what it has asked for. */
  drain(): void {
    for (const visitor of [...this.#visitors]) visitor.drain();
  }

  close(): void {
    this.context.sweeper.remove(this);
    for (const visitor of [...this.#visitors]) visitor.closed();
  }

  #keep(visitor: H2Visitor, session: ServerHttp2Session): void {
    this.#visitors.add(visitor);
    session.on("close", () => this.#visitors.delete(visitor));
  }
}
