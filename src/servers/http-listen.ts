import { bindCandidates } from "../dataplanes/io/bind-address.ts";
import { type EntryError, entryError } from "../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../dataplanes/io/port-sharing.ts";
import { errorCode } from "../os/errors.ts";
import { err, ok, type Result } from "../wire/result.ts";

export interface HttpListener {
  readonly port: number;
  /** Lets another process of this program listen there too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** Closes connections that wait for a next request: it comes by a new one, which may come to another process. */
  endIdle(): void;
  /** Frees the port at once; resolves when what is under way has ended. */
  retire(): Promise<void>;
  /** Ends what is under way, too. */
  close(): Promise<void>;
}

/** What every Bun.serve is given. */
export interface HttpPlace {
  readonly hostname: string;
  readonly port: number;
  /** Else Bun's answers to errors show source. */
  readonly development: false;
  /** Said always: Bun (1.4.5) shares a port with whoever has it already, unless it is told not to. */
  readonly reusePort: boolean;
}

/**
 * Listens at `bind` as it is written; `serve` is Bun.serve at one address. `sharing`: with other processes of this program; null = with
 * none.
 */
export function listenHttp(
  bind: string,
  port: number,
  sharing: PortSharing | null,
  serve: (place: HttpPlace) => Bun.Server<undefined>,
): Result<HttpListener, EntryError> {
  const beside = sharing?.isBeside("tcp", port) ?? false;
  let failure: unknown = null;
  for (const hostname of bindCandidates(bind)) {
    try {
      const server = serve({ hostname, port, development: false, reusePort: beside });
      const socket = beside ? socketOf(server, port, sharing) : null;
      if (socket !== null) sharing?.steerHere(socket);
      return ok(listenerOf(server, port, sharing));
    } catch (error) {
      failure = error;
      // Without IPv6 the wildcard is IPv4's; any other error would be the same there.
      if (errorCode(error) === "EADDRINUSE") break;
    }
  }
  return err(entryError(failure, "tcp", bind, port));
}

function listenerOf(server: Bun.Server<undefined>, given: number, sharing: PortSharing | null): HttpListener {
  const port = server.port ?? given;
  let isListening = true;
  const stop = (cut: boolean): Promise<void> => {
    isListening = false;
    return server.stop(cut);
  };
  return {
    port,
    setShared(shared) {
      if (!isListening) return true;
      const socket = socketOf(server, port, sharing);
      return socket !== null && (sharing?.setShared(socket, shared) ?? false);
    },
    endIdle: () => void server.closeIdleConnections(),
    retire: () => stop(false),
    close: () => stop(true),
  };
}

/** Looked for each time: a descriptor that was closed is soon another socket's. */
function socketOf(server: object, port: number, sharing: PortSharing | null): object | null {
  const address = addressOf(server);
  return address === null ? null : (sharing?.listenerAt(address, port) ?? null);
}

/** Where it is bound, which Bun (1.4.5) tells and its types do not: `localhost` is one address or another. */
function addressOf(server: object): string | null {
  const bound = "address" in server ? server.address : null;
  if (typeof bound !== "object" || bound === null || !("address" in bound)) return null;
  return typeof bound.address === "string" ? bound.address : null;
}
