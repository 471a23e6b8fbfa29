import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { challengeToken } from "../../wire/acme/messages.ts";
import { ok, type Result } from "../../wire/result.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";

export interface ChallengeServerOptions {
  /** An address of this machine, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** With other processes of this program; absent = with none. */
  readonly sharing?: PortSharing;
  /** Where everybody else is sent, whatever they asked for. Asked at each request. */
  homeUrl(): string;
}

export interface ChallengeServer extends Pick<HttpListener, "port" | "setShared" | "retire" | "close"> {
  /** Answers for this token until the returned function is called. */
  publish(token: string, keyAuthorization: string): () => void;
}

const MAX_BODY_BYTES = 1_024;
const IDLE_SEC = 10;
/** No cookie, no script and no name of who asks is looked at: there is nothing here but tokens that are public. */
const HEADERS = { "x-content-type-options": "nosniff", "cache-control": "no-store", connection: "close" } as const;

/** The plain HTTP that proves a name to a CA (http-01, RFC 8555 section 8.3), and sends people to the console. */
export function serveChallenges(options: ChallengeServerOptions): Result<ChallengeServer, EntryError> {
  const { bind, port } = options;
  const answers = new Map<string, string>();
  const listener = listenHttp(bind, port, options.sharing ?? null, (place) =>
    Bun.serve({
      ...place,
      maxRequestBodySize: MAX_BODY_BYTES,
      idleTimeout: IDLE_SEC,
      fetch: (request) => answer(request, answers, options),
    }),
  );
  if (!listener.ok) return listener;
  const http: HttpListener = listener.value;
  return ok({
    port: http.port,
    setShared: (shared) => http.setShared(shared),
    retire: () => http.retire(),
    publish(token, keyAuthorization) {
      answers.set(token, keyAuthorization);
      return () => answers.delete(token);
    },
    close: () => http.close(),
  });
}

function answer(
  { method, url }: Request,
  answers: ReadonlyMap<string, string>,
  { homeUrl }: ChallengeServerOptions,
): Response {
  if (method !== "GET" && method !== "HEAD") {
    return new Response("This knows GET and HEAD.\n", { status: 405, headers: { ...HEADERS, allow: "GET, HEAD" } });
  }
  const token = challengeToken(new URL(url).pathname);
  if (token === null) return new Response(null, { status: 308, headers: { ...HEADERS, location: homeUrl() } });
  const text = answers.get(token);
  if (text === undefined) return new Response("There is no such token.\n", { status: 404, headers: HEADERS });
  return new Response(text, { headers: { ...HEADERS, "content-type": "application/octet-stream" } });
}
