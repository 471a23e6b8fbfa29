import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { H2Conduct } from "../../core/names/h2-conduct.ts";
import type { SlowReader } from "../../core/names/slow-readers.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Impatient } from "../proxy/clients.ts";
import type { NamesContext } from "./context.ts";
import { H1Service } from "./h1-service.ts";
import { H2Places } from "./h2-places.ts";
import { requestOfH2 } from "./h2-request.ts";
import { sayOn } from "./h2-stream-end.ts";
import type { H2Wire } from "./h2-wire.ts";
import { H2cService } from "./h2c-service.ts";
import { type Arrival, judgeNamed, type Named } from "./http-arrival.ts";
import type { Judgement } from "./http1-front.ts";

/** Without a stream. */
const IDLE_MS = 75_000;

export interface H2VisitorOptions {
  readonly context: NamesContext;
  readonly session: ServerHttp2Session;
  readonly wire: H2Wire;
  readonly conduct: H2Conduct;
  readonly arrival: Arrival;
  readonly named: Named;
}

interface Fresh {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
}

/** One visitor's connection of HTTP/2, with its requests. */
export class H2Visitor implements Impatient, SlowReader {
  readonly #options: H2VisitorOptions;
  readonly #h2c: H2cService;
  readonly #h1: H1Service;
  readonly #places: H2Places;
  /** Requests that came in this turn of the event loop. */
  #fresh: Fresh[] = [];
  #open = 0;

  constructor(options: H2VisitorOptions) {
    this.#options = options;
    const { context, session, wire, arrival, named } = options;
    const { visit } = arrival;
    const { site } = named;
    const visitOfSite = { ...visit, externalPort: site.externalPort };
    this.#places = new H2Places(named.admission, visit.visitor.address, context.clients);
    this.#h2c = new H2cService(site, visitOfSite, wire);
    this.#h1 = new H1Service({ site, visit: visitOfSite, wire, places: this.#places, sweeper: context.sweeper });
    arrival.leavePlace();
    // It lasts, and of one whose machine is gone nothing else is heard.
    arrival.client.keepAlive?.();
    context.clients.add(this, IDLE_MS);
    session.on("error", () => undefined);
    session.on("stream", (stream, headers) => this.#receive(stream, headers));
    session.on("close", () => this.#closed());
    // Whoever sends no more cannot open windows either: it would be waited for without end.
    wire.on("end", () => session.destroy());
    wire.on("close", () => session.destroy());
  }

  get queuedBytes(): number {
    const { wire } = this.#options;
    let bytes = wire.queuedBytes;
    for (const outlet of wire.outlets) bytes += outlet.heldBytes;
    return bytes;
  }

  get passedBytes(): number {
    const { wire } = this.#options;
    return wire.passedBytes - wire.queuedBytes;
  }

  /** Now and then: others may have gone and made room, and requests may stand still. */
  look(nowMs: number): void {
    this.#places.look();
    this.#h1.look(nowMs);
  }

  /** No more requests come by this connection; those that are under way come to their end. */
  drain(): void {
    const { session } = this.#options;
    this.#h1.drain();
    if (!session.destroyed) session.close();
  }

  sendAway(reason: ReasonName, code: number): void {
    const { session, named, wire } = this.#options;
    if (!session.destroyed) {
      named.site.host.visits.counters.countRefused(reason);
      session.goaway(code);
      session.destroy();
    }
    wire.cut(reason);
  }

  expired(): void {
    const { session } = this.#options;
    session.close();
    // Whoever does not go by itself.
    if (this.#open === 0) session.destroy();
  }

  closed(): void {
    this.#options.session.destroy();
    this.#options.wire.cut("shutdown");
  }

  #closed(): void {
    const { context, wire } = this.#options;
    context.clients.remove(this);
    this.#places.close();
    this.#h1.drain();
    this.#h2c.close();
    wire.destroy();
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => undefined);
    this.#count(stream);
    this.#fresh.push({ stream, headers });
    // What is cancelled in the same breath costs the service nothing.
    if (this.#fresh.length === 1) setImmediate(() => this.#takeFresh());
  }

  #takeFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const request of fresh) if (!request.stream.destroyed) this.#take(request);
  }

  #take({ stream, headers }: Fresh): void {
    const judged = this.#judge(stream, headers);
    if (!(judged instanceof Promise)) {
      this.#answer(stream, headers, judged);
      return;
    }
    judged
      .then((later) => this.#answer(stream, headers, later))
      .catch((error: unknown) => {
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        this.#options.context.unexpected(error);
      });
  }

  #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, judged: Judgement): void {
    if (stream.destroyed) return;
    const { site, name } = this.#options.named;
    if (!judged.ok) sayOn(stream, judged.error, headers[":method"]);
    else if (site.spec.service === "h2c") this.#h2c.forward(stream, judged.value, name, headers["te"]);
    else this.#h1.forward(stream, judged.value);
  }

  #count(stream: ServerHttp2Stream): void {
    const { context, session, conduct } = this.#options;
    this.#open += 1;
    context.clients.remove(this);
    stream.on("close", () => {
      this.#open -= 1;
      if (session.destroyed) return;
      if (this.#open === 0) context.clients.add(this, IDLE_MS);
      if (stream.headersSent || conduct.unanswered(context.sweeper.nowMs()) === null) return;
      this.sendAway("rateLimit", constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
  }

  /** One connection is for one name: a browser that has a certificate for several may not use it for another. */
  #judge(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Judgement | Promise<Judgement> {
    const head = requestOfH2(headers, !stream.endAfterHeaders);
    if (!head.ok) return head;
    const { context, arrival, named } = this.#options;
    const asker = { address: arrival.visit.visitor.address, scheme: "https" as const };
    return judgeNamed(context, head.value, named.name, named.site, asker);
  }
}
