import { constants, createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { H2Conduct } from "../../core/names/h2-conduct.ts";
import { SlowReaders } from "../../core/names/slow-readers.ts";
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
  /** For everybody to have left. */
  readonly #waiting: (() => void)[] = [];
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

  /** `arrival.client`: inside its TLS. */
  receive(arrival: Arrival, named: Named): void {
    const { sweeper, clients } = this.context;
    let visitor: H2Visitor | null = null;
    const conduct = new H2Conduct(sweeper.nowMs());
    const wire = new H2Wire({
      client: arrival.client,
      clients,
      conduct,
      nowMs: () => sweeper.nowMs(),
      misbehaved: () => visitor?.sendAway("rateLimit", constants.NGHTTP2_ENHANCE_YOUR_CALM),
      left: () => {
        named.admission.leave(arrival.visit.visitor.address);
        if (visitor !== null) this.#forget(visitor);
      },
    });
    this.#arriving = (session) => {
      visitor = new H2Visitor({ context: this.context, session, wire, conduct, arrival, named });
      this.#visitors.add(visitor);
    };
    this.#server.emit("connection", wire);
    this.#arriving = null;
    if (visitor !== null) return;
    this.context.unexpected(new Error("HTTP/2 made no session of a connection"));
    arrival.leavePlace();
    wire.cut("resources");
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

  /** Resolves when nobody is in. */
  async drained(): Promise<void> {
    if (this.#visitors.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.context.sweeper.remove(this);
    for (const visitor of [...this.#visitors]) visitor.closed();
  }

  #forget(visitor: H2Visitor): void {
    this.#visitors.delete(visitor);
    if (this.#visitors.size === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
