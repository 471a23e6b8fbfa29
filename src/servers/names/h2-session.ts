import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { join } from "../../dataplanes/io/join.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import { requestOfH2 } from "./h2-request.ts";
import { H2StreamEnd, sayOn } from "./h2-stream-end.ts";
import { H2cService } from "./h2c-service.ts";
import { type Arrival, judgeNamed, type Named } from "./http-arrival.ts";
import type { Judgement } from "./http1-front.ts";

/** As browsers expect it, and nginx has it. */
const MOST_STREAMS = 100;
const MAX_HEADER_BYTES = 32_768;
/** Without a stream. */
const IDLE_MS = 75_000;
/** Streams that a visitor may cancel before they are answered, when they are more than half of all (CVE-2023-44487). */
const MOST_CANCELLED = 200;

/** Serves visitors who speak HTTP/2 over TLS that was ended here. */
export class H2Server {
  readonly #server: Http2Server;
  /** Whose session is being made: it is told within the call. */
  #arriving: ((session: ServerHttp2Session) => void) | null = null;

  constructor(readonly context: NamesContext) {
    this.#server = createServer({
      maxHeaderListPairs: 200,
      settings: { maxConcurrentStreams: MOST_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
    });
    this.#server.on("session", (session) => this.#arriving?.(session));
    this.#server.on("sessionError", () => undefined);
  }

  receive(socket: TLSSocket, arrival: Arrival, named: Named): void {
    let session: ServerHttp2Session | null = null;
    this.#arriving = (made) => {
      session = made;
      new Visitor(this.context, made, arrival, named);
    };
    this.#server.emit("connection", socket);
    this.#arriving = null;
    if (session !== null) return;
    this.context.unexpected(new Error("HTTP/2 made no session of a connection"));
    arrival.leavePlace();
    named.admission.leave(arrival.visit.visitor.address);
    socket.destroy();
  }
}

class Visitor implements Impatient {
  readonly #service: H2cService;
  #open = 0;
  #total = 0;
  #cancelled = 0;

  constructor(
    readonly context: NamesContext,
    readonly session: ServerHttp2Session,
    readonly arrival: Arrival,
    readonly named: Named,
  ) {
    const { visit } = arrival;
    this.#service = new H2cService(named.site, { ...visit, externalPort: named.site.externalPort });
    arrival.leavePlace();
    context.clients.add(this, IDLE_MS);
    session.on("error", () => undefined);
    session.on("stream", (stream, headers) => this.#receive(stream, headers));
    session.on("close", () => this.#closed());
  }

  expired(): void {
    this.session.close();
    // Whoever does not go by itself.
    if (this.#open === 0) this.session.destroy();
  }

  closed(): void {
    this.session.destroy();
  }

  #closed(): void {
    this.context.clients.remove(this);
    this.#service.close();
    this.named.admission.leave(this.arrival.visit.visitor.address);
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#count(stream);
    const judged = this.#judge(stream, headers);
    if (!(judged instanceof Promise)) {
      this.#forward(stream, headers, judged);
      return;
    }
    judged
      .then((later) => this.#forward(stream, headers, later))
      .catch((error: unknown) => {
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        this.context.unexpected(error);
      });
  }

  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, judged: Judgement): void {
    if (stream.destroyed) return;
    if (!judged.ok) {
      sayOn(stream, judged.error);
      return;
    }
    const { site, name } = this.named;
    if (site.spec.service === "h2c") {
      this.#service.forward(stream, judged.value, name, headers["te"]);
      return;
    }
    const end = new H2StreamEnd(stream, judged.value);
    const visit = { ...this.arrival.visit, externalPort: site.externalPort };
    join(site.host.shape(end), site.host.connect(visit), visit, site.host.visits);
    end.begin();
  }

  #count(stream: ServerHttp2Stream): void {
    this.#open += 1;
    this.#total += 1;
    this.context.clients.remove(this);
    stream.on("close", () => {
      this.#open -= 1;
      if (this.#open === 0 && !this.session.destroyed) this.context.clients.add(this, IDLE_MS);
      if (stream.headersSent) return;
      this.#cancelled += 1;
      if (this.#cancelled > MOST_CANCELLED && 2 * this.#cancelled > this.#total) {
        this.session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
        this.session.destroy();
      }
    });
  }

  /** One connection is for one name: a browser that has a certificate for several may not use it for another. */
  #judge(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Judgement | Promise<Judgement> {
    const head = requestOfH2(headers, !stream.endAfterHeaders);
    if (!head.ok) return head;
    const asker = { address: this.arrival.visit.visitor.address, scheme: "https" as const };
    return judgeNamed(this.context, head.value, this.named.name, this.named.site, asker);
  }
}
