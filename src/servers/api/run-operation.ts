import type { HostPort } from "../../wire/endpoint.ts";
import { AtOnce } from "./at-once.ts";
import { type ApiBackend, ApiFailure, type Origin, type Principal } from "./backend.ts";
import { readJsonBody, takeRest } from "./body.ts";
import { type Asker, askerOf, endedCookie, type Shown, sessionCookie, shownCredential } from "./credentials.ts";
import { versionOf, versionTag } from "./etag.ts";
import { type EventStream, eventStream, type Following, type StreamedEvent } from "./event-stream.ts";
import { IdempotentAnswers } from "./idempotency.ts";
import { jsonLines } from "./lines.ts";
import { whyNot } from "./need.ts";
import { type Asked, mayRepeat, type Operation, Reply, successStatus } from "./operation.ts";
import type { ApiLimits, ApiOptions, RequestInfo } from "./options.ts";
import { Refusal, Status } from "./problem.ts";
import { EVENTS_TYPE, IDEMPOTENCY_HEADER, JSON_TYPE } from "./protocol.ts";
import { isForeignRead, provenance } from "./site.ts";
import { uploadOf } from "./upload.ts";
import { parsedBody, parsedQuery } from "./validate.ts";

/** A request that came to one of our names. */
export interface Arrival {
  readonly request: Request;
  readonly url: URL;
  readonly host: HostPort;
  /** Of whoever asks: the peer, or whom a trusted proxy names. */
  readonly address: string;
  readonly info: RequestInfo;
}

const MAX_AGENT_CHARS = 256;
const NOTHING = new Uint8Array();
/** A check looks from outside, and answers within half a minute. */
const ANSWER_IDLE_SEC = 60;
/** Of a stream that has a heartbeat every 15 s. */
const STREAM_IDLE_SEC = 60;

/** Carries out one operation: who asks, may they, what do they ask, and the answer. */
export class OperationRunner {
  readonly #backend: ApiBackend;
  readonly #options: ApiOptions;
  readonly #limits: ApiLimits;
  readonly #answers: IdempotentAnswers;
  readonly #streamsOf: AtOnce;
  readonly #streams = new Set<EventStream>();
  readonly #streamsEnd = new AbortController();

  constructor(backend: ApiBackend, options: ApiOptions, limits: ApiLimits) {
    this.#backend = backend;
    this.#options = options;
    this.#limits = limits;
    this.#answers = new IdempotentAnswers(() => options.nowMs());
    this.#streamsOf = new AtOnce(limits.maxStreamsPerUser);
  }

  /** Rejects with a Refusal or an ApiFailure; other errors are ours. */
  async run(operation: Operation, arrival: Arrival, id: string): Promise<Response> {
    const { request, url, address, info } = arrival;
    const { headers } = request;
    const origin = { address, userAgent: (headers.get("user-agent") ?? "").slice(0, MAX_AGENT_CHARS) };
    const shown = shownCredential(headers, this.#options.tls);
    const { maxBodyBytes: maxBytes, bodyDeadlineMs: deadlineMs } = this.#limits;
    const limits = { maxBytes, deadlineMs, after: this.#options.after };
    const asker = await this.#admitted(operation, arrival, shown, origin).catch(async (error: unknown) => {
      await takeRest(request, limits);
      throw error;
    });
    const bytes = operation.body === undefined ? NOTHING : await readJsonBody(request, limits);
    const asked: Asked<Principal | null> = {
      backend: this.#backend,
      presets: this.#options.presets,
      origin,
      who: asker?.who ?? null,
      session: asker?.session ?? null,
      id,
      version: operation.versioned === true ? versionOf(headers.get("if-match")) : null,
      accept: headers.get("accept") ?? "",
      signal: AbortSignal.any([this.#options.signal, request.signal]),
      upload: () =>
        uploadOf(request, operation.upload?.maxBytes ?? 0, {
          ...limits,
          keepOpen: () => info.allow?.(STREAM_IDLE_SEC),
        }),
      stream: (events) => this.#stream(operation, arrival, asker, shown, origin, events),
      lines: (values) => jsonLines(values, (error) => this.#options.onUnexpected(error)),
    };
    const query = parsedQuery(url.searchParams);
    const make = async () => {
      let streams = false;
      info.allow?.(ANSWER_IDLE_SEC);
      try {
        const answer = await operation.run(asked, query, operation.body && parsedBody(bytes));
        if (mayEndCredentials(operation)) await this.#recheckStreams();
        streams = answer instanceof Response;
        return this.#response(operation, answer);
      } finally {
        // Else the next request's head would have that long as well.
        if (!streams) info.allow?.(null);
      }
    };
    const key = headers.get(IDEMPOTENCY_HEADER);
    if (key === null || asker === null || !mayRepeat(operation)) return await make();
    const target = `${operation.method} ${url.pathname}${url.search}`;
    return await this.#answers.answer(asker.who.userId, key, { target, body: bytes }, make);
  }

  /** Null: it is for everybody. */
  async #admitted(
    { need, method }: Operation,
    { request: { headers }, host }: Arrival,
    shown: Shown,
    origin: Origin,
  ): Promise<Asker | null> {
    const { tls } = this.#options;
    const changes = method !== "GET";
    const from = provenance(headers, host, tls);
    if (need === null) {
      // Else another site signs its visitors in as somebody else.
      if (changes && from === "foreign") throw foreign();
      return null;
    }
    if (shown?.kind === "session" && isForeignRead(headers)) throw foreign();
    const asker = await askerOf(this.#backend.access, shown, origin);
    if (asker === null) throw await this.#stranger();
    if (changes && asker.session !== null && from !== "ours") throw foreign();
    const why = whyNot(need, asker.who);
    if (why !== null) throw new Refusal(Status.forbidden, why);
    return asker;
  }

  /** The same words for no credential and for each wrong one. */
  async #stranger(): Promise<Error> {
    if (await this.#backend.access.isSetUp()) {
      return new Refusal(Status.unauthorized, "Sign in, or send a valid token: `Authorization: Bearer TOKEN`.");
    }
    return new ApiFailure("setup", "Open the one-time link that the relay printed when it started first.");
  }

  #response(operation: Operation, answer: unknown): Response {
    if (answer instanceof Response) return answer;
    const {
      value,
      more,
    }: Pick<Reply<unknown>, "value" | "more"> = answer instanceof Reply ? answer : { value: answer, more: {} };
    const headers = new Headers();
    const { tls } = this.#options;
    if (more.version !== undefined) headers.set("etag", versionTag(more.version));
    if (more.location !== undefined) headers.set("location", more.location);
    if (more.session === null) headers.set("set-cookie", endedCookie(tls));
    else if (more.session !== undefined) {
      headers.set("set-cookie", sessionCookie(more.session, tls, this.#options.nowMs()));
    }
    const status = successStatus(operation);
    if (operation.reply === undefined) return new Response(null, { status, headers });
    headers.set("content-type", JSON_TYPE);
    // What the schema does not name never leaves, whatever a backend gives.
    return new Response(JSON.stringify(operation.reply.parse(value)), { status, headers });
  }

  /** See Api. */
  endStreams(): void {
    this.#streamsEnd.abort();
  }

  /** Nobody who was signed out sees one event more. */
  async #recheckStreams(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.recheck()));
  }

  async #stream(
    { id, reply }: Operation,
    { request, info }: Arrival,
    asker: Asker | null,
    shown: Shown,
    origin: Origin,
    events: (signal: AbortSignal) => Following<StreamedEvent>,
  ): Promise<Response> {
    if (asker === null || reply === undefined) throw new Error(`${id} is an event stream for nobody, or of nothing`);
    if (request.method === "HEAD") return new Response(null, { headers: { "content-type": EVENTS_TYPE } });
    const { after } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, this.#streamsEnd.signal]);
    if (signal.aborted) {
      throw new Refusal(Status.unavailable, "This process of the server ends: ask again in a second.", {
        headers: { "retry-after": "1" },
      });
    }
    const { who } = asker;
    const leave = this.#streamsOf.enter(who.userId);
    if (leave === null) {
      throw new Refusal(Status.tooMany, "Close other event streams first: there are too many.", {
        headers: { "retry-after": "15" },
      });
    }
    info.allow?.(STREAM_IDLE_SEC);
    const stream = eventStream({
      after,
      signal: AbortSignal.any([signal, request.signal]),
      schema: reply,
      events,
      onEnd: () => {
        leave();
        this.#streams.delete(stream);
      },
      onUnexpected: (error) => this.#options.onUnexpected(error),
      stillGood: async () => {
        const now = await askerOf(this.#backend.access, shown, origin);
        return now !== null && now.who.role === who.role && now.who.accountId === who.accountId;
      },
    });
    if (!request.signal.aborted) this.#streams.add(stream);
    // Who has our answer reads the lists next, and must miss nothing that comes after them.
    await stream.opened;
    return stream.response;
  }
}

function mayEndCredentials({ method, tag, need }: Operation): boolean {
  return method !== "GET" && need !== null && (tag === "Session" || tag === "Me" || tag === "People");
}

function foreign(): Refusal {
  return new Refusal(
    Status.forbidden,
    "The request does not come from a page of this server: open the console itself.",
  );
}
