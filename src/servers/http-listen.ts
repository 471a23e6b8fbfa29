import { bindCandidates } from "../dataplanes/io/bind-address.ts";
import { type EntryError, entryError } from "../dataplanes/io/entry-error.ts";
import { errorCode } from "../os/errors.ts";
import { err, ok, type Result } from "../wire/result.ts";

export interface HttpListener {
  readonly port: number;
  /** Frees the port at once; resolves when what is under way has ended. */
  retire(): Promise<void>;
  /** Ends what is under way, too. */
  close(): Promise<void>;
}

/**
 * For every Bun.serve. Bun (1.4.5) shares a port with whoever has it already, unless it is told not to or is in development,
 * where its answers to errors show source.
 */
export const ALONE = { development: false, reusePort: false } as const;

/** Listens at `bind` as it is written; `serve` is Bun.serve at one address. */
export function listenHttp(
  bind: string,
  port: number,
  serve: (hostname: string) => Bun.Server<undefined>,
): Result<HttpListener, EntryError> {
  let failure: unknown = null;
  for (const hostname of bindCandidates(bind)) {
    try {
      const server = serve(hostname);
      return ok({ port: server.port ?? port, retire: () => server.stop(false), close: () => server.stop(true) });
    } catch (error) {
      failure = error;
      // Without IPv6 the wildcard is IPv4's; any other error would be the same there.
      if (errorCode(error) === "EADDRINUSE") break;
    }
  }
  return err(entryError(failure, "tcp", bind, port));
}
