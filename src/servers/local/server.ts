import { errorCode, messageOf } from "../../os/errors.ts";
import {
  type AgentControl,
  CONTROL_VERSION,
  ControlError,
  type ControlErrorKind,
  type ErrorReply,
  type GatewayControl,
  type RelayControl,
} from "./control.ts";
import { MAX_REQUEST_BYTES } from "./protocol.ts";
import type { Routes } from "./routes.ts";
import { type LocalRole, reserveSocket, type SocketFile } from "./socket-file.ts";

export interface LocalServerOptions {
  /** Absolute path of the socket, in the data directory. */
  readonly path: string;
  /** Told of exceptions that are not ControlErrors: programming errors, with their cause. */
  readonly onUnexpected: (error: unknown) => void;
}

export interface LocalServer {
  /** Gives the data directory to another process: no new request comes, and those under way go on. `close` ends them. */
  release(): void;
  /**
   * Ends every request (what was attached is withdrawn) and removes the socket. `answerWithinMs`: those under way have
   * this long to be answered, such as the one that stops the process.
   */
  close(options?: { readonly answerWithinMs: number }): Promise<void>;
}

const HTTP_STATUS: Record<ControlErrorKind, number> = { usage: 400, refused: 403, unreachable: 503, failed: 500 };
const HTTP_NOT_FOUND = 404;
/**
 * The routes and their schemas (15 ms of one core) are loaded by the first request, or else after this: not while a
 * role starts, and not much later, when the process may be out of descriptors or another version be on the disk.
 */
const LOAD_ROUTES_MS = 1_000;

type Fetch = (request: Request) => Promise<Response>;

/** Serves a relay's control. Throws ControlError `usage` when the relay of that directory is already running. */
export function serveRelayControl(control: RelayControl, options: LocalServerOptions): LocalServer {
  return serve("relay", async () => (await import("./routes.ts")).relayRoutes(control), options);
}

/** Serves an agent's control. Throws ControlError `usage` when the agent of that directory is already running. */
export function serveAgentControl(control: AgentControl, options: LocalServerOptions): LocalServer {
  const reply = (error: unknown) => errorReply(error, options);
  return serve("agent", async () => (await import("./routes.ts")).agentRoutes(control, reply), options);
}

/** Serves a gateway's control. Throws ControlError `usage` when the gateway of that directory is already running. */
export function serveGatewayControl(control: GatewayControl, options: LocalServerOptions): LocalServer {
  const reply = (error: unknown) => errorReply(error, options);
  return serve("gateway", async () => (await import("./routes.ts")).gatewayRoutes(control, reply), options);
}

function serve(role: LocalRole, loadRoutes: () => Promise<Routes>, options: LocalServerOptions): LocalServer {
  const file = reserveSocket(options.path, role);
  let loaded: Promise<Routes> | null = null;
  const routes = () => {
    loaded ??= loadRoutes().catch((error) => {
      loaded = null;
      throw error;
    });
    return loaded;
  };
  // A failure is the requests' to tell.
  const timer = setTimeout(() => routes().catch(() => undefined), LOAD_ROUTES_MS);
  timer.unref();
  const server = bind(file, async (request) => {
    try {
      const route = request.method === "POST" ? (await routes()).get(new URL(request.url).pathname) : undefined;
      if (route !== undefined) return await route(request);
      const reply = errorReply(
        new ControlError(
          "usage",
          `The running ${role} does not know this request: restart it to have the same version.`,
        ),
        options,
      );
      return Response.json(reply, { status: HTTP_NOT_FOUND });
    } catch (error) {
      const reply = errorReply(error, options);
      return Response.json(reply, { status: HTTP_STATUS[reply.kind] });
    }
  });
  return {
    release: () => file.release(),
    async close(options) {
      clearTimeout(timer);
      // Bun's own graceful stop leaves a request on a Unix socket without its answer (1.4.5).
      if (options !== undefined) await answered(server, options.answerWithinMs);
      await server.stop(true);
      file.release();
    },
  };
}

/** Resolves when every request has its answer, or after `withinMs`. */
async function answered(server: { readonly pendingRequests: number }, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (server.pendingRequests > 0 && performance.now() < endMs) await Bun.sleep(1);
}

function bind(file: SocketFile, fetch: Fetch) {
  try {
    // Bun's default ends a request that sends nothing for 10 s, and `server.timeout()` does not lift it (1.4.5); an
    // attached stream may be as quiet as its visitors. The types leave the option out beside `unix`.
    const noIdleTimeout: object = { idleTimeout: 0 };
    return file.bound((unix) => Bun.serve({ unix, maxRequestBodySize: MAX_REQUEST_BYTES, fetch, ...noIdleTimeout }));
  } catch (cause) {
    file.release();
    const tooLong = errorCode(cause) === "ENAMETOOLONG";
    const hint = tooLong ? "its path is too long for this system" : "the system refused it";
    throw new ControlError(
      "usage",
      `The socket ${file.path} cannot be opened, ${hint}: name another directory with --data.`,
      { cause },
    );
  }
}

function errorReply(error: unknown, options: LocalServerOptions): ErrorReply {
  if (error instanceof ControlError)
    return { event: "error", v: CONTROL_VERSION, kind: error.kind, message: error.message };
  options.onUnexpected(error);
  const message = messageOf(error);
  return { event: "error", v: CONTROL_VERSION, kind: "failed", message: `Unexpected error: ${message}` };
}
