import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { Result } from "../../wire/result.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";
import type { Api } from "./api.ts";
import { API_LIMITS } from "./options.ts";

export interface ApiServerOptions {
  /** An address of this machine, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** PEM; null = plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** The most that is read of a body, at least what the API takes. */
  readonly maxBodyBytes?: number;
  /** Without a byte from either side: between requests, and while one is being sent. */
  readonly idleSec?: number;
}

/**
 * Bun cuts larger bodies off before the API sees them, without a word of ours: it gets some more, which the API refuses in
 * its own words.
 */
const BODY_MARGIN = 4;
/**
 * Bun (1.4.5) gives the first head of a connection 10 to 12 s in all, whatever drips in, and later heads this. A body has
 * the API's own deadline, and this where the API does not read it.
 */
const IDLE_SEC = 15;

/** HTTP/1.1 on Bun.serve. */
export function serveApi(api: Api, options: ApiServerOptions): Result<HttpListener, EntryError> {
  const { bind, port, tls, maxBodyBytes = API_LIMITS.maxBodyBytes, idleSec = IDLE_SEC } = options;
  return listenHttp(bind, port, (hostname) =>
    Bun.serve({
      hostname,
      port,
      ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
      maxRequestBodySize: maxBodyBytes * BODY_MARGIN,
      idleTimeout: idleSec,
      development: false,
      // Bun (1.4.5) shares the port with whoever has it already, unless it is told not to or is in development.
      reusePort: false,
      fetch: (request, server) =>
        api.fetch(request, {
          address: server.requestIP(request)?.address ?? "",
          allow: (sec) => server.timeout(request, sec ?? idleSec),
        }),
    }),
  );
}
