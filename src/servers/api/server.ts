import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { ok, type Result } from "../../wire/result.ts";
import { CARRIED_TO, CarriedPort, type CarriedPortOptions } from "../carried-port.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";
import type { Api } from "./api.ts";
import { API_LIMITS } from "./options.ts";
import { Status } from "./problem.ts";
import { OPERATIONS } from "./routes.ts";

export interface TlsPair {
  /** PEM: the certificate, and those behind it. */
  readonly cert: string;
  readonly key: string;
}

export interface ApiServer extends HttpListener {
  /**
   * What new connections are shown from now on. Requests that are under way end as they began, idle connections are
   * closed. An error: nobody listens, and it is to be called again.
   */
  renew(tls: TlsPair): Result<null, EntryError>;
}

export interface ApiServerOptions {
  /** An address of this machine, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** PEM; null = plain HTTP. */
  readonly tls: TlsPair | null;
  /** Load balancers before it say who its visitors are; absent = visitors are whom sockets show. */
  readonly balancers?: Pick<CarriedPortOptions, "gate" | "sweeper">;
  /** With other processes of this program; absent = with none. */
  readonly sharing?: PortSharing;
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
 * The largest file that an operation takes. Of a body that nobody reads Bun (1.4.5) holds some 5 MiB, and the sender waits:
 * what a refused or slow request sends is bounded without its size being so.
 */
const UPLOAD_BYTES = Math.max(0, ...OPERATIONS.map(({ upload }) => upload?.maxBytes ?? 0));
/**
 * Bun (1.4.5) gives the first head of a connection 10 to 12 s in all, whatever drips in, and later heads this. A body has
 * the API's own deadline, and this where the API does not read it.
 */
const IDLE_SEC = 15;

/** HTTP/1.1 on Bun.serve. */
export function serveApi(api: Api, options: ApiServerOptions): Result<ApiServer, EntryError> {
  const { bind, balancers, maxBodyBytes = API_LIMITS.maxBodyBytes, idleSec = IDLE_SEC } = options;
  const sharing = options.sharing ?? null;
  const opened = balancers === undefined ? null : CarriedPort.open({ bind, port: options.port, sharing, ...balancers });
  if (opened?.ok === false) return opened;
  const carried = opened?.value ?? null;
  const clientOf = (peer: Bun.SocketAddress | null): string | null => {
    if (carried === null) return peer?.address ?? "";
    return peer === null ? null : carried.clientAt(peer.port);
  };
  const listen = (port: number, tls: TlsPair | null) =>
    listenHttp(carried === null ? bind : CARRIED_TO, port, carried === null ? sharing : null, (place) =>
      Bun.serve({
        ...place,
        ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
        maxRequestBodySize: Math.max(maxBodyBytes * BODY_MARGIN, UPLOAD_BYTES + maxBodyBytes),
        idleTimeout: idleSec,
        fetch: (request, server) => {
          const address = clientOf(server.requestIP(request));
          // By a port of this machine that is no way in.
          if (address === null) return new Response(null, { status: Status.forbidden });
          return api.fetch(request, { address, allow: (sec) => server.timeout(request, sec ?? idleSec) });
        },
      }),
    );
  const first = listen(carried === null ? options.port : 0, options.tls);
  if (!first.ok) {
    carried?.close();
    return first;
  }
  carried?.carryTo(first.value.port);
  const port = carried?.port ?? first.value.port;
  let current = first.value;
  /** Those before it, while requests of theirs are under way. */
  const retired = new Map<HttpListener, Promise<unknown>>();
  return ok({
    port,
    renew(tls) {
      // Bun.serve keeps its certificate for life (decision 0026).
      const before = current;
      retired.set(
        before,
        before.retire().then(() => retired.delete(before)),
      );
      const next = listen(carried === null ? port : 0, tls);
      if (!next.ok) return next;
      current = next.value;
      carried?.carryTo(current.port);
      return ok(null);
    },
    setShared: (shared) => (carried ?? current).setShared(shared),
    endIdle: () => current.endIdle(),
    async retire() {
      await Promise.all([carried?.retire(), current.retire(), ...retired.values()]);
    },
    async close() {
      carried?.close();
      await Promise.all([current, ...retired.keys()].map((listener) => listener.close()));
    },
  });
}
