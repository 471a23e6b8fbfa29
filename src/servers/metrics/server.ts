import { createHash, timingSafeEqual } from "node:crypto";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { parseAddress } from "../../wire/address.ts";
import { parseHostPort } from "../../wire/endpoint.ts";
import { METRICS_TYPE } from "../../wire/prometheus.ts";
import type { Result } from "../../wire/result.ts";
import { bearerToken } from "../bearer.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";

export interface MetricsServerOptions {
  /** An address of this machine, `localhost`, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** With other processes of this program; absent = with none. */
  readonly sharing?: PortSharing;
  /** What `Authorization: Bearer` must say; null = nothing, for a loopback address. */
  readonly token: string | null;
  /** The page, in the text format of Prometheus. */
  text(): Promise<string>;
  /** Told why a page could not be made. */
  onUnexpected(error: unknown): void;
}

const PATH = "/metrics";
const LOCALHOST = "localhost";
const HTTP_PORT = 80;
/** No request here has a body. */
const MAX_BODY_BYTES = 1_024;
/** Prometheus gives a scrape 10 s unless it is told otherwise. */
const IDLE_SEC = 20;

const Status = { unauthorized: 401, forbidden: 403, notFound: 404, methodNotAllowed: 405, failed: 500 } as const;

/** A listener with one page: /metrics. */
export function serveMetrics(options: MetricsServerOptions): Result<HttpListener, EntryError> {
  const { bind, port } = options;
  const required = options.token === null ? null : digest(options.token);
  return listenHttp(bind, port, options.sharing ?? null, (place) =>
    Bun.serve({
      ...place,
      maxRequestBodySize: MAX_BODY_BYTES,
      idleTimeout: IDLE_SEC,
      async fetch(request) {
        try {
          return refusalOf(request, required) ?? page(await options.text());
        } catch (error) {
          options.onUnexpected(error);
          return refusal(Status.failed, "The metrics could not be read: the log says more.");
        }
      },
    }),
  );
}

function page(text: string): Response {
  return new Response(text, {
    headers: { "content-type": METRICS_TYPE, "cache-control": "no-store", "x-content-type-options": "nosniff" },
  });
}

/** Null: it is answered. */
function refusalOf(request: Request, required: Buffer | null): Response | null {
  if (
    required !== null &&
    !timingSafeEqual(required, digest(bearerToken(request.headers.get("authorization")) ?? ""))
  ) {
    return refusal(Status.unauthorized, "Send the token: `Authorization: Bearer TOKEN`.", {
      "www-authenticate": 'Bearer realm="hatchway"',
    });
  }
  if (required === null && !isOwnHost(request.headers.get("host"))) {
    return refusal(Status.forbidden, "Call this by an IP address or localhost.");
  }
  if (new URL(request.url).pathname !== PATH) return refusal(Status.notFound, `There is one page, ${PATH}.`);
  if (request.method === "GET" || request.method === "HEAD") return null;
  return refusal(Status.methodNotAllowed, "Ask this by GET.", { allow: "GET, HEAD" });
}

/**
 * A page of any site can have its own name lead to this machine (DNS rebinding: CVE-2022-41924) and then read answers, but it
 * cannot make the browser say an address it did not come from. With a token there is nothing to read without it.
 */
function isOwnHost(header: string | null): boolean {
  const parsed = parseHostPort(header ?? "", { defaultPort: HTTP_PORT });
  return parsed.ok && (parsed.value.host === LOCALHOST || parseAddress(parsed.value.host).ok);
}

function refusal(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", ...headers },
  });
}

/** Digests of equal length: how long the comparison takes says nothing of the token. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
