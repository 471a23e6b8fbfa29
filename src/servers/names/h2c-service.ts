import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { JudgedRequest } from "../../core/names/request.ts";
import { EndDuplex } from "../../dataplanes/io/end-duplex.ts";
import { endPair } from "../../dataplanes/io/end-pair.ts";
import type { Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import { PausedReading } from "../../dataplanes/io/paused-reading.ts";
import { H2Outlet } from "./h2-outlet.ts";
import { sayOn, taken } from "./h2-stream-end.ts";
import { H2Turn } from "./h2-turn.ts";
import type { H2Wire } from "./h2-wire.ts";
import { refusalOf } from "./page.ts";
import type { Site } from "./sites.ts";

interface Opened {
  readonly session: ClientHttp2Session;
  readonly turn: H2Turn;
}

const HOP_BY_HOP = ["host", "connection", "transfer-encoding"];

/** A service that speaks HTTP/2 without TLS, over one connection for each visitor's: the streams go side by side in it. */
export class H2cService {
  readonly #site: Site;
  readonly #visit: Visit;
  readonly #wire: H2Wire;
  #open: Opened | null = null;

  constructor(site: Site, visit: Visit, wire: H2Wire) {
    this.#site = site;
    this.#visit = visit;
    this.#wire = wire;
  }

  /** `te`: what the visitor says of trailers (RFC 9110 §10.1.4): gRPC wants it. */
  forward(stream: ServerHttp2Stream, { head }: JudgedRequest, name: string, te: IncomingHttpHeaders[string]): void {
    const { session, turn } = this.#present(name);
    // With no prototype: a field may be called `constructor`.
    const headers: OutgoingHttpHeaders = Object.assign(Object.create(null), {
      ":method": head.method,
      ":path": head.target,
      ":scheme": "http",
      ":authority": name,
      ...(te === "trailers" ? { te } : {}),
    });
    for (const { name: field, value } of head.fields) {
      const key = field.toLowerCase();
      if (!HOP_BY_HOP.includes(key))
        headers[key] = headers[key] === undefined ? value : `${String(headers[key])}, ${value}`;
    }
    let request: ClientHttp2Stream | null = null;
    taken(() => {
      request = session.request(headers, { endStream: stream.endAfterHeaders });
    });
    const failed: Failed = (code) => fail(stream, head.method, code);
    if (request === null) failed(constants.NGHTTP2_INTERNAL_ERROR);
    else connectStreams(stream, new H2Outlet(stream, this.#wire), request, turn, failed);
  }

  close(): void {
    this.#open?.session.destroy();
    this.#open = null;
  }

  #present(name: string): Opened {
    if (this.#open !== null && !this.#open.session.closed && !this.#open.session.destroyed) return this.#open;
    const { a, b } = endPair();
    const { host } = this.#site;
    const duplex = new EndDuplex(b);
    join(a, host.connect(this.#visit), this.#visit, host.visits);
    const session = connect(`http://${name}`, { createConnection: () => duplex });
    session.on("error", () => undefined);
    session.on("close", () => duplex.destroy());
    this.#open = { session, turn: new H2Turn(duplex) };
    return this.#open;
  }
}

type Failed = (code: number) => void;

/** Both ways at once, until each has ended. */
function connectStreams(
  stream: ServerHttp2Stream,
  outlet: H2Outlet,
  asked: ClientHttp2Stream,
  turn: H2Turn,
  failed: Failed,
): void {
  const reading = new PausedReading(asked);
  outlet.onDrain = (queuedBytes) => reading.backlog(queuedBytes);
  let trailers: IncomingHttpHeaders = {};
  asked.on("headers", (interim) => {
    if (!stream.destroyed && !stream.headersSent) taken(() => stream.additionalHeaders(plain(interim)));
  });
  asked.on("response", (answer) => {
    if (stream.destroyed) return;
    if (!taken(() => stream.respond(plain(answer), { waitForTrailers: true }))) {
      asked.close(constants.NGHTTP2_CANCEL);
      return;
    }
    asked.on("data", (bytes: Uint8Array) => {
      if (!stream.destroyed) reading.backlog(outlet.write(bytes));
    });
    asked.on("end", () => void stream.end());
  });
  asked.on("trailers", (fields) => {
    trailers = fields;
  });
  stream.on("wantTrailers", () => void taken(() => stream.sendTrailers(plain(trailers))));
  asked.on("error", () => failed(constants.NGHTTP2_INTERNAL_ERROR));
  stream.on("error", () => asked.close(constants.NGHTTP2_CANCEL));
  stream.on("aborted", () => asked.close(constants.NGHTTP2_CANCEL));
  asked.on("close", () => {
    if (asked.rstCode !== constants.NGHTTP2_NO_ERROR) failed(asked.rstCode);
  });
  if (stream.endAfterHeaders) return;
  stream.pipe(asked);
  stream.on("data", () => turn.wrote());
}

function fail(stream: ServerHttp2Stream, method: string, code: number): void {
  if (stream.destroyed) return;
  if (stream.headersSent) stream.close(code);
  else sayOn(stream, refusalOf("reset"), method);
}

/** Without what is Node's own. */
function plain(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name === ":status" || !name.startsWith(":")));
}
