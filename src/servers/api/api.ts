import { Hono } from "hono";
import { sourceKey } from "../../wire/address.ts";
import { visitorOf } from "../visitor.ts";
import { AtOnce } from "./at-once.ts";
import { type ApiBackend, ApiFailure } from "./backend.ts";
import { type OpenApiDocument, openApiDocument } from "./document.ts";
import { fileResponse } from "./files.ts";
import { secure } from "./headers.ts";
import { metricsOperation } from "./metrics.ts";
import type { Operation } from "./operation.ts";
import { API_LIMITS, type ApiOptions, type RequestInfo } from "./options.ts";
import { problemResponse, Refusal, refusalOf, Status } from "./problem.ts";
import { JSON_TYPE } from "./protocol.ts";
import { REFERENCE_STYLE, referencePage } from "./reference.ts";
import { OPERATIONS } from "./routes.ts";
import { type Arrival, OperationRunner } from "./run-operation.ts";
import { ownHost } from "./site.ts";

/** The API, the console's files and the reference, as one function from request to answer. */
export interface Api {
  readonly document: OpenApiDocument;
  /** Never rejects. */
  fetch(request: Request, info: RequestInfo): Promise<Response>;
  /** Ends the event streams, in order, and begins no others: whoever follows is to come again, to another process. */
  endStreams(): void;
}

const API_ROOT = /^\/v1(\/|$)/;
const DOCUMENT_PATH = "/openapi.json";
const REFERENCE_PATH = "/docs/api";
const STYLE_PATH = "/docs/api.css";
/** An id, a cursor and a text, each in percent-encoding. */
const MAX_URL_CHARS = 8_192;
/** Control characters; in names they are nobody's, in a log they are trouble. */
const CONTROL = /%(0|1)[0-9a-f]|%7f/i;

export function createApi(backend: ApiBackend, options: ApiOptions): Api {
  const limits = { ...API_LIMITS, ...options.limits };
  const document = openApiDocument(OPERATIONS, options.version);
  const runner = new OperationRunner(backend, options, limits);
  const router = newRouter(runner, document, options);
  const atOnce = new AtOnce(limits.maxPerAddress);

  async function answer(request: Request, info: RequestInfo): Promise<Response> {
    const host = ownHost(request.headers, options.tls, (named) => options.isOwnHost(named));
    if (host === null) {
      throw new Refusal(Status.misdirected, "This server goes by another name: call it by one that is configured.");
    }
    const url = readUrl(request.url);
    const address = visitorOf(info.address, request.headers.get("x-forwarded-for"), options.trustedProxies());
    if (address === null) throw new Refusal(Status.badRequest, "The proxy before this server does not say who asks.");
    const leave = atOnce.enter(sourceKey(address));
    if (leave === null) {
      throw new Refusal(Status.tooMany, "Ask less at once from this address.", { headers: { "retry-after": "1" } });
    }
    try {
      return await router.fetch(request, { request, url, host, address, info });
    } finally {
      leave();
    }
  }

  return {
    document,
    endStreams: () => runner.endStreams(),
    async fetch(request, info) {
      try {
        return secure(await answer(request, info), options.hstsSec);
      } catch (error) {
        return secure(failureResponse(error, request, options), options.hstsSec);
      }
    },
  };
}

function newRouter(
  runner: OperationRunner,
  document: OpenApiDocument,
  options: ApiOptions,
): Hono<{ Bindings: Arrival }> {
  const router = new Hono<{ Bindings: Arrival }>();
  // The page of metrics is no part of the API: whoever reads it knows its address and its format.
  const operations = options.metrics === undefined ? OPERATIONS : [...OPERATIONS, metricsOperation(options.metrics)];
  for (const operation of operations) {
    const path = operation.path.replace("{id}", ":id");
    router.on(operation.method, path, (context) => runner.run(operation, context.env, context.req.param("id") ?? ""));
  }
  const pages = [
    { path: DOCUMENT_PATH, type: JSON_TYPE, text: JSON.stringify(document) },
    { path: REFERENCE_PATH, type: "text/html; charset=utf-8", text: referencePage(document, STYLE_PATH) },
    { path: STYLE_PATH, type: "text/css; charset=utf-8", text: REFERENCE_STYLE },
  ];
  for (const { path, type, text } of pages) {
    router.get(path, () => new Response(text, { headers: { "content-type": type, "cache-control": "no-cache" } }));
  }
  const table = [...operations, ...pages.map(({ path }) => ({ path, method: "GET" as const }))].map(tableRow);
  router.notFound((context) => {
    const { request, url } = context.env;
    const allowed = table.filter(({ pattern }) => pattern.test(url.pathname)).flatMap(({ methods }) => methods);
    if (allowed.length > 0) {
      const allow = [...new Set(allowed)].join(", ");
      throw new Refusal(Status.methodNotAllowed, `Ask this by ${allow}.`, { headers: { allow } });
    }
    if (API_ROOT.test(url.pathname)) throw new Refusal(Status.notFound, "There is no such route: see /docs/api.");
    return fileResponse(options.files, request, url.pathname);
  });
  router.onError((error, context) => failureResponse(error, context.env.request, options));
  return router;
}

function tableRow({ path, method }: Pick<Operation, "path" | "method">): { pattern: RegExp; methods: string[] } {
  const pattern = new RegExp(`^${path.replaceAll(".", "\\.").replace("{id}", "[^/]+")}$`);
  return { pattern, methods: method === "GET" ? ["GET", "HEAD"] : [method] };
}

function readUrl(text: string): URL {
  if (text.length > MAX_URL_CHARS) throw new Refusal(Status.uriTooLong, "Ask by a shorter address.");
  const url = URL.parse(text);
  // `CONNECT host:80` is an address without a path.
  if (url === null || !url.pathname.startsWith("/") || CONTROL.test(url.pathname) || !isDecodable(url.pathname)) {
    throw new Refusal(Status.badRequest, "The address is not written as one: mend it.");
  }
  return url;
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function failureResponse(error: unknown, request: Request, options: ApiOptions): Response {
  if (error instanceof Refusal) return problemResponse(error);
  if (error instanceof ApiFailure) return problemResponse(refusalOf(error));
  // Whoever asked is gone: nobody reads this.
  if (!request.signal.aborted) options.onUnexpected(error);
  return problemResponse(new Refusal(Status.failed, "This is a fault of the relay: its log says more."));
}
