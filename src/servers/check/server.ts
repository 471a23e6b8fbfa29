import type { Saw } from "../../core/check/evidence.ts";
import { outsideVerdict } from "../../core/check/outside.ts";
import { PROBE_IDS, udpProbe, usualProbe } from "../../core/check/probes.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import { messageOf } from "../../os/errors.ts";
import { type CidrSet, isIpv6, parseAddress } from "../../wire/address.ts";
import { formatHostPort, parseHostPort, parsePort } from "../../wire/endpoint.ts";
import type { Protocol } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import { type HttpListener, listenHttp } from "../http-listen.ts";
import { visitorOf } from "../visitor.ts";
import { type CheckPage, PAGE_POLICY, renderPage } from "./html.ts";

/** A port of the visitor's own address, which the page asks the relay to look at. */
export interface PageAsk {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** UDP: the id of what is sent. */
  readonly probe: string | null;
  /** What the visitor sent for this. */
  readonly allowanceBytes: number;
}

export interface PageSaw {
  readonly saw: Saw;
  readonly fits: boolean | null;
  readonly elapsedMs: number;
}

export interface CheckServerOptions {
  /** An address of this machine, or `*`. */
  readonly bind: string;
  /** 0 = any free one. */
  readonly port: number;
  /** With other processes of this program; absent = with none. */
  readonly sharing?: PortSharing;
  /** Names, in lower case, by which visitors may call the page, besides addresses and `localhost`. Asked at each request. */
  hosts(): readonly string[];
  /** Reverse proxies whose X-Forwarded-For is believed. Asked at each request. */
  trustedProxies(): CidrSet;
  look(ask: PageAsk): Promise<Result<PageSaw, { readonly why: "policy" | "failed"; readonly message: string }>>;
  /** Told of exceptions: programming errors. */
  onUnexpected(error: unknown): void;
}

export type CheckServer = HttpListener;

const LOCALHOST = "localhost";
const HTTP_PORT = 80;
const MAX_BODY_BYTES = 16 * 1_024;
/** A look takes 3.5 s at most. */
const IDLE_SEC = 10;
const FORM_TYPE = "application/x-www-form-urlencoded";
const DEFAULT_AS = "tcp";
const UDP = "udp";
/**
 * What a connection with one request puts on the wire beside the request, at the very least: SYN, the ACK of the answer's
 * SYN, the headers of the request's own packet, and FIN, with 40 bytes of IPv4 and TCP each, or 60 of IPv6 and TCP.
 */
const CONNECTION_PACKETS = 4;
const PACKET_BYTES = { 4: 40, 6: 60 } as const;

const Status = {
  ok: 200,
  badRequest: 400,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  unavailable: 503,
} as const;
type Status = (typeof Status)[keyof typeof Status];

const HEADERS = {
  "content-security-policy": PAGE_POLICY,
  "x-content-type-options": "nosniff",
  // Not "no-referrer": browsers then send `Origin: null` with the page's own form.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
  // Each request brings a connection of its own, which is counted for it (CONNECTION_PACKETS).
  connection: "close",
} as const;

/** The relay's page: it shows visitors their address, and looks at a port of it when they send the form. */
export function serveCheckPage(options: CheckServerOptions): Result<CheckServer, EntryError> {
  const { bind, port } = options;
  return listenHttp(bind, port, options.sharing ?? null, (place) =>
    Bun.serve({
      ...place,
      maxRequestBodySize: MAX_BODY_BYTES,
      idleTimeout: IDLE_SEC,
      fetch: async (request, own) => {
        try {
          return await answer(request, own.requestIP(request)?.address ?? "", options);
        } catch (error) {
          options.onUnexpected(error);
          return plain(Status.unavailable, messageOf(error));
        }
      },
    }),
  );
}

async function answer(request: Request, peer: string, options: CheckServerOptions): Promise<Response> {
  const hosts = [LOCALHOST, ...options.hosts()];
  if (!isOwnHost(request.headers.get("host"), hosts)) {
    return plain(
      Status.forbidden,
      "Host must be an IP address, the relay's public name, or a name that is configured.",
    );
  }
  if (new URL(request.url).pathname !== "/") return plain(Status.notFound, "There is one page, at /.");
  const { method } = request;
  if (method !== "GET" && method !== "HEAD" && method !== "POST") {
    return plain(Status.methodNotAllowed, "The page knows GET and POST.", { allow: "GET, HEAD, POST" });
  }
  const visitor = visitorOf(peer, request.headers.get("x-forwarded-for"), options.trustedProxies());
  if (visitor === null) return plain(Status.badRequest, "The proxy before this page does not say who asks.");
  const reply = new Reply(visitor, wantsHtml(request));
  // Looking at a page must never send a packet anywhere: links and previews do that.
  if (method !== "POST") return reply.greeting();
  if (!isOwnForm(request, hosts)) return reply.problem(Status.forbidden, "The form was not sent by this page.");
  return await check(request, visitor, reply, options);
}

async function check(request: Request, visitor: string, reply: Reply, options: CheckServerOptions): Promise<Response> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== FORM_TYPE) return reply.problem(Status.badRequest, `Send the form as ${FORM_TYPE}.`);
  const body = await request.text();
  const form = new URLSearchParams(body);
  const [portText, as] = [form.get("port") ?? "", form.get("as") ?? DEFAULT_AS];
  reply.asked(portText, as);
  const port = parsePort(portText.trim());
  if (!port.ok) return reply.problem(Status.badRequest, port.error.message);
  const probe = as === DEFAULT_AS ? null : as === UDP ? usualProbe(port.value) : udpProbe(as);
  if (as !== DEFAULT_AS && probe === null) {
    return reply.problem(Status.badRequest, `"as" is tcp, udp or one of ${PROBE_IDS.join(", ")}.`);
  }
  const protocol = probe === null ? "tcp" : "udp";
  const allowanceBytes = connectionBytes(visitor) + headBytes(request) + body.length;
  const ask = { address: visitor, protocol, port: port.value, probe: probe?.id ?? null, allowanceBytes } as const;
  const seen = await options.look(ask);
  if (!seen.ok) {
    return reply.problem(seen.error.why === "policy" ? Status.forbidden : Status.unavailable, seen.error.message);
  }
  const { saw, fits, elapsedMs } = seen.value;
  const what = `${formatHostPort(visitor, port.value)}/${protocol}`;
  const verdict = outsideVerdict(what, saw, probe, fits);
  return reply.page(Status.ok, verdict, {
    v: 1,
    address: visitor,
    port: port.value,
    protocol,
    ...verdict,
    elapsedMs: Math.round(elapsedMs),
  });
}

function connectionBytes(visitor: string): number {
  return CONNECTION_PACKETS * PACKET_BYTES[isIpv6(visitor) ? 6 : 4];
}

/** The request's first line and headers, as far as they are known. */
function headBytes(request: Request): number {
  let bytes = "POST / HTTP/1.1\r\n\r\n".length;
  for (const [name, value] of request.headers) bytes += name.length + value.length + ": \r\n".length;
  return bytes;
}

/** One visitor's answers: a page for browsers, JSON for everybody else. */
class Reply {
  #port: string | null = null;
  #as: string = DEFAULT_AS;

  constructor(
    readonly address: string,
    readonly html: boolean,
  ) {}

  asked(port: string, as: string): void {
    this.#port = port.slice(0, 5);
    this.#as = as;
  }

  greeting(): Response {
    return this.page(Status.ok, null, { v: 1, address: this.address });
  }

  problem(status: Status, message: string): Response {
    return this.page(status, message, { v: 1, address: this.address, error: message });
  }

  page(status: Status, outcome: CheckPage["outcome"], json: object): Response {
    if (!this.html) return Response.json(json, { status, headers: HEADERS });
    const page = renderPage({ address: this.address, port: this.#port, as: this.#as, outcome });
    return new Response(page, { status, headers: { ...HEADERS, "content-type": "text/html; charset=utf-8" } });
  }
}

function plain(status: Status, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...HEADERS, "content-type": "text/plain; charset=utf-8", ...headers },
  });
}

function wantsHtml(request: Request): boolean {
  return request.headers.get("accept")?.includes("text/html") === true;
}

/** A page of any site can have its own name lead here (DNS rebinding), but cannot make a browser say another name. */
function isOwnHost(header: string | null, hosts: readonly string[]): boolean {
  const parsed = parseHostPort(header ?? "", { defaultPort: HTTP_PORT });
  return parsed.ok && (hosts.includes(parsed.value.host) || parseAddress(parsed.value.host).ok);
}

/** Another site's page may not send the form for its visitor. Programs that are no browser say neither of the two. */
function isOwnForm(request: Request, hosts: readonly string[]): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin" || site === "none";
  const origin = request.headers.get("origin");
  if (origin === null) return true;
  const host = URL.parse(origin)?.host ?? "";
  return host === request.headers.get("host") || hosts.includes(host.replace(/:\d+$/, ""));
}
