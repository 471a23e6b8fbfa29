import { createHash, timingSafeEqual } from "node:crypto";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import { parseAddress } from "../../wire/address.ts";
import { parseHostPort } from "../../wire/endpoint.ts";
import type { Result } from "../../wire/result.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";
import { isLoopback } from "../loopback.ts";

export interface GluetunServerOptions {
  /** An address of this machine, `localhost`, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** What X-API-Key must say; null = nothing, on a loopback address only. */
  readonly apiKey: string | null;
  /** Names, in lower case, by which clients may call this server, besides its addresses and `localhost`. */
  readonly hosts: readonly string[];
  /** The open external ports, the first one first. */
  readonly ports: () => readonly number[];
}

/** The second is the one of gluetun before v3.41, where it leads to the first now. */
const PATHS: readonly string[] = ["/v1/portforward", "/v1/openvpn/portforwarded"];
const LOCALHOST = "localhost";
const HTTP_PORT = 80;
/** No request here has a body. */
const MAX_BODY_BYTES = 1_024;
const IDLE_SEC = 10;

const Status = { unauthorized: 401, forbidden: 403, notFound: 404, methodNotAllowed: 405 } as const;

/** The part of gluetun's HTTP control server that says which ports are forwarded. It changes nothing. */
export function serveGluetun(options: GluetunServerOptions): Result<HttpListener, EntryError> {
  const { bind, port } = options;
  if (options.apiKey === null && !isLoopback(bind)) throw new Error("gluetun's server needs a key beyond loopback");
  const required = options.apiKey === null ? null : digest(options.apiKey);
  const hosts = [LOCALHOST, ...options.hosts];
  const fetch = (request: Request) => answer(request, hosts, required, options.ports);
  return listenHttp(bind, port, null, (place) =>
    Bun.serve({ ...place, fetch, maxRequestBodySize: MAX_BODY_BYTES, idleTimeout: IDLE_SEC }),
  );
}

function answer(
  request: Request,
  hosts: readonly string[],
  required: Buffer | null,
  ports: () => readonly number[],
): Response {
  if (!isOwnHost(request.headers.get("host"), hosts))
    return refusal(Status.forbidden, "Host must be an IP address, localhost or a name that is configured");
  // As gluetun, whose middleware asks for the key after these two.
  if (!PATHS.includes(pathOf(request))) return refusal(Status.notFound, "Not Found");
  if (request.method !== "GET") return refusal(Status.methodNotAllowed, "Method Not Allowed", { allow: "GET" });
  if (required !== null && !timingSafeEqual(required, digest(request.headers.get("x-api-key") ?? ""))) {
    return refusal(Status.unauthorized, "Unauthorized");
  }
  const open = ports();
  return Response.json({ port: open[0] ?? 0, ports: open }, { headers: { "cache-control": "no-store" } });
}

/** One slash at the end is the same path, as for gluetun. */
function pathOf(request: Request): string {
  return new URL(request.url).pathname.replace(/\/$/, "");
}

/**
 * A page of any site can have its own name lead to this machine (DNS rebinding: CVE-2022-41924) and then read answers,
 * but it cannot make the browser say an address it did not come from.
 */
function isOwnHost(header: string | null, hosts: readonly string[]): boolean {
  const parsed = parseHostPort(header ?? "", { defaultPort: HTTP_PORT });
  if (!parsed.ok) return false;
  return hosts.includes(parsed.value.host) || parseAddress(parsed.value.host).ok;
}

function refusal(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, { status, headers });
}

/** Digests of equal length: how long the comparison takes says nothing of the key. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
