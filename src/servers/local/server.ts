import { z } from "zod";
import {
  AGENT_CALLS,
  ATTACH_PATH,
  type Call,
  callPath,
  type Handlers,
  MAX_REQUEST_BYTES,
  RELAY_CALLS,
} from "./calls.ts";
import {
  type AgentControl,
  AttachRequest,
  CONTROL_VERSION,
  ControlError,
  type ControlErrorKind,
  type ErrorReply,
  type RelayControl,
} from "./control.ts";
import { ndjsonStream } from "./ndjson.ts";
import { reserveSocket, type SocketFile } from "./socket-file.ts";

export interface LocalServerOptions {
  /** Absolute path of the socket, in the data directory. */
  readonly path: string;
  /** Told of exceptions that are not ControlErrors: programming errors, with their cause. */
  readonly onUnexpected: (error: unknown) => void;
}

export interface LocalServer {
  /** Ends every request (what was attached is withdrawn) and removes the socket. */
  close(): Promise<void>;
}

const HTTP_STATUS: Record<ControlErrorKind, number> = { usage: 400, refused: 403, unreachable: 503, failed: 500 };
const HTTP_NOT_FOUND = 404;

type Route = (request: Request) => Promise<Response>;

/** Serves a relay's control. Throws ControlError `usage` when the relay of that directory is already running. */
export function serveRelayControl(control: RelayControl, options: LocalServerOptions): LocalServer {
  const handlers: Handlers<typeof RELAY_CALLS> = {
    status: () => control.status(),
    listForwards: () => control.listForwards(),
    listDevices: () => control.listDevices(),
    revokeDevice: ({ nameOrId }) => control.revokeDevice(nameOrId),
    createJoinCode: async (request) => ({ code: await control.createJoinCode(request) }),
    reload: () => control.reload(),
    visits: () => control.visits(),
  };
  return serve("relay", callRoutes(RELAY_CALLS, handlers), options);
}

/** Serves an agent's control. Throws ControlError `usage` when the agent of that directory is already running. */
export function serveAgentControl(control: AgentControl, options: LocalServerOptions): LocalServer {
  const handlers: Handlers<typeof AGENT_CALLS> = {
    status: () => control.status(),
    listForwards: () => control.listForwards(),
    addForward: ({ spec, lasting }) => control.addForward(spec, { lasting }),
    removeForward: ({ nameOrId }) => control.removeForward(nameOrId),
    reload: () => control.reload(),
    visits: () => control.visits(),
  };
  const routes = callRoutes(AGENT_CALLS, handlers);
  routes.set(ATTACH_PATH, async (request) => {
    const { specs } = parse(AttachRequest, await readJson(request));
    return ndjsonStream(
      (signal) => control.attach(specs, signal),
      request.signal,
      (error) => errorReply(error, options),
    );
  });
  return serve("agent", routes, options);
}

function callRoutes<Calls extends Record<string, Call>>(calls: Calls, handlers: Handlers<Calls>): Map<string, Route> {
  const routes = new Map<string, Route>();
  for (const name of Object.keys(calls) as (keyof Calls & string)[]) {
    const call = calls[name];
    if (call === undefined) continue;
    routes.set(callPath(name), async (request) => {
      const input = parse(call.input, await readJson(request)) as z.infer<Calls[typeof name]["input"]>;
      return Response.json({ v: CONTROL_VERSION, result: await handlers[name](input) });
    });
  }
  return routes;
}

function serve(role: "relay" | "agent", routes: Map<string, Route>, options: LocalServerOptions): LocalServer {
  const file = reserveSocket(options.path, role);
  const server = bind(file, async (request) => {
    try {
      const route = request.method === "POST" ? routes.get(new URL(request.url).pathname) : undefined;
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
    async close() {
      await server.stop(true);
      file.release();
    },
  };
}

function bind(file: SocketFile, fetch: Route) {
  try {
    // Bun's default ends a request that sends nothing for 10 s, and `server.timeout()` does not lift it (1.4.5); an
    // attached stream may be as quiet as its visitors. The types leave the option out beside `unix`.
    const noIdleTimeout: object = { idleTimeout: 0 };
    return file.bound((unix) => Bun.serve({ unix, maxRequestBodySize: MAX_REQUEST_BYTES, fetch, ...noIdleTimeout }));
  } catch (cause) {
    file.release();
    const tooLong = cause instanceof Error && "code" in cause && cause.code === "ENAMETOOLONG";
    const hint = tooLong ? "its path is too long for this system" : "the system refused it";
    throw new ControlError(
      "usage",
      `The socket ${file.path} cannot be opened, ${hint}: name another directory with --data.`,
      { cause },
    );
  }
}

async function readJson(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch (cause) {
    throw new ControlError("usage", "The request is not JSON.", { cause });
  }
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ControlError(
    "usage",
    `The request is not understood: ${z.prettifyError(parsed.error).split("\n").join(" ")}`,
  );
}

function errorReply(error: unknown, options: LocalServerOptions): ErrorReply {
  if (error instanceof ControlError)
    return { event: "error", v: CONTROL_VERSION, kind: error.kind, message: error.message };
  options.onUnexpected(error);
  const message = error instanceof Error ? error.message : String(error);
  return { event: "error", v: CONTROL_VERSION, kind: "failed", message: `Unexpected error: ${message}` };
}
