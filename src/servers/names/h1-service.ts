import type { ServerHttp2Stream } from "node:http2";
import type { JudgedRequest } from "../../core/names/request.ts";
import type { Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { H1Connection, type H1Owner } from "./h1-connection.ts";
import type { H2Places } from "./h2-places.ts";
import { H2StreamEnd } from "./h2-stream-end.ts";
import type { H2Wire } from "./h2-wire.ts";
import type { Site } from "./sites.ts";

/** Below the 5 s of Node and Apache: who is asked while it closes has heard nothing. */
const IDLE_MS = 4_000;
/** The same for a request that must not be asked twice: some services wait two seconds. */
const IDLE_ONCE_MS = 1_000;
/** From its opening on; then the next is opened, perhaps to another device of a group. */
const LASTS_MS = 10_000;
const MOST_IDLE = 16;

export interface H1ServiceOptions {
  readonly site: Site;
  readonly visit: Visit;
  readonly wire: H2Wire;
  readonly places: H2Places;
  readonly sweeper: Sweeper;
}

interface Idle {
  readonly connection: H1Connection;
  readonly sinceMs: number;
}

/**
 * A service that speaks HTTP/1.1, for one visitor who speaks HTTP/2: each request has a connection to itself while it lasts,
 * and a few of them wait for the next one. They are this visitor's and nobody else's.
 */
export class H1Service implements H1Owner {
  readonly #options: H1ServiceOptions;
  /** Of requests that the service has, or will have. */
  readonly #ends = new Set<H2StreamEnd>();
  /** The last one in is the first one out, so that the others grow old. */
  #idle: Idle[] = [];
  /** Their answers ended in this turn of the event loop. */
  #freed: H1Connection[] = [];
  #isDraining = false;

  constructor(options: H1ServiceOptions) {
    this.#options = options;
  }

  forward(stream: ServerHttp2Stream, request: JudgedRequest): void {
    const end = new H2StreamEnd(stream, this.#options.wire, request);
    this.#ends.add(end);
    stream.on("close", () => this.#ends.delete(end));
    const connection = this.#takeIdle(end.isSafe ? IDLE_MS : IDLE_ONCE_MS);
    if (connection === null) this.#await(end);
    else connection.ask(end);
  }

  /** Now and then: requests may stand still, and connections grow old. */
  look(nowMs: number): void {
    for (const end of [...this.#ends]) end.look(nowMs);
    const { places } = this.#options;
    for (const { connection, sinceMs } of [...this.#idle]) {
      const isKept = nowMs - sinceMs < IDLE_MS && this.#lasts(connection, nowMs) && places.mayKeep();
      if (!isKept) connection.retire();
    }
  }

  /** What is idle goes now, the others after their requests. */
  drain(): void {
    this.#isDraining = true;
    for (const { connection } of [...this.#idle]) connection.retire();
  }

  freed(connection: H1Connection): void {
    this.#freed.push(connection);
    // What comes behind the answer in the same read must not be taken for the answer to the next request.
    if (this.#freed.length === 1) setImmediate(() => this.#takeFreed());
  }

  gone(connection: H1Connection): void {
    this.#idle = this.#idle.filter((idle) => idle.connection !== connection);
    this.#options.places.leave();
  }

  again(end: H2StreamEnd): void {
    end.repeats();
    this.#await(end);
  }

  #takeFreed(): void {
    const { places, sweeper } = this.#options;
    const freed = this.#freed;
    this.#freed = [];
    const nowMs = sweeper.nowMs();
    for (const connection of freed) {
      if (connection.isClosed) continue;
      if (!this.#lasts(connection, nowMs)) connection.retire();
      else if (places.offer(connection)) continue;
      else if (this.#idle.length >= MOST_IDLE || !places.mayKeep()) connection.retire();
      else this.#idle.push({ connection, sinceMs: nowMs });
    }
  }

  #takeIdle(forMs: number): H1Connection | null {
    const nowMs = this.#options.sweeper.nowMs();
    for (;;) {
      const last = this.#idle.at(-1);
      if (last === undefined || nowMs - last.sinceMs >= forMs) return null;
      if (this.#lasts(last.connection, nowMs)) {
        this.#idle.pop();
        return last.connection;
      }
      last.connection.retire();
    }
  }

  #lasts({ openedMs }: H1Connection, nowMs: number): boolean {
    const { site, sweeper } = this.#options;
    const isWanted = !this.#isDraining && !site.host.isClosed && !sweeper.descriptors.scarce;
    return isWanted && nowMs - openedMs < LASTS_MS;
  }

  #await(end: H2StreamEnd): void {
    this.#options.places.take(
      (free) => this.#begin(end, free),
      () => end.reset("connectionLimit"),
    );
  }

  /** `free`: null = it has a place, and no connection yet. */
  #begin(end: H2StreamEnd, free: H1Connection | null): void {
    if (!end.isGone) (free ?? this.#open()).ask(end);
    else if (free === null) this.#options.places.leave();
    else this.freed(free);
  }

  #open(): H1Connection {
    const { visit, sweeper, site } = this.#options;
    const { host } = site;
    const connection = new H1Connection(this, sweeper.nowMs());
    join(host.shape(connection), host.connect(visit), visit, host.visits);
    return connection;
  }
}
