import type { RequestRefusal } from "../../core/names/request.ts";
import { encodeResponseHead, type Field } from "../../wire/http1/head.ts";
import type { ReasonName } from "../../wire/reason.ts";

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  417: "Expectation Failed",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};
const RETRY_AFTER_SEC = 10;
/** RFC 7617: every site is a realm of its own, because it has an origin of its own. */
const CHALLENGE = 'Basic realm="site", charset="UTF-8"';

export function pageText(sentence: string): Uint8Array {
  return new TextEncoder().encode(`${sentence}\n`);
}

/** Of an answer of the relay's own, whichever HTTP it goes by. */
export function pageFields(status: number): readonly Field[] {
  return [
    { name: "Content-Type", value: "text/plain; charset=utf-8" },
    { name: "Cache-Control", value: "no-store" },
    { name: "X-Content-Type-Options", value: "nosniff" },
    ...(status === 503 || status === 429 ? [{ name: "Retry-After", value: String(RETRY_AFTER_SEC) }] : []),
    ...(status === 401 ? [{ name: "WWW-Authenticate", value: CHALLENGE }] : []),
  ];
}

/**
 * A whole answer of the relay's own, in plain text; the connection ends after it. `method`: of the request, if it came so far
 * (to HEAD there is no content, RFC 9110 §9.3.2).
 */
export function pageBytes(
  { status, sentence }: RequestRefusal,
  method: string | null,
  more: readonly Field[] = [],
): Uint8Array {
  const text = pageText(sentence);
  const length = { name: "Content-Length", value: String(text.length) };
  const fields = [...pageFields(status), length, ...more, { name: "Connection", value: "close" }];
  const head = encodeResponseHead({ status, reason: REASONS[status] ?? "", minor: 1, fields });
  if (method === "HEAD") return head;
  const bytes = new Uint8Array(head.length + text.length);
  bytes.set(head);
  bytes.set(text, head.length);
  return bytes;
}

/** The visitor sends no more of its request's content, and is not waited for any longer: a service holds a worker for it. */
export const CONTENT_MS = 75_000;
export const UNFINISHED: RequestRefusal = { status: 408, sentence: "The request did not come to an end." };

/** What a visitor is told when its visit came to nothing. It learns of the service only whether trying again helps. */
export function refusalOf(reason: ReasonName): RequestRefusal {
  switch (reason) {
    case "deviceAway":
    case "carrierLost":
    case "noForward":
    case "shutdown":
      return { status: 503, sentence: "This site is not connected at the moment. Try again in a little while." };
    case "connectionLimit":
    case "resources":
      return { status: 503, sentence: "This site has too many visitors at the moment. Try again in a little while." };
    case "rateLimit":
      return { status: 429, sentence: "Too many connections from your address. Try again in a little while." };
    case "sourceNotAllowed":
    case "policy":
    case "proxyHeader":
    case "exitNotAllowed":
      return { status: 403, sentence: "You may not visit this site from your address." };
    case "serviceTimeout":
    case "idle":
      return { status: 504, sentence: "The site did not answer in time." };
    case "reset":
    case "serviceRefused":
    case "serviceUnreachable":
    case "hostNotFound":
    case "unhealthy":
    case "killed":
    case "protocolError":
      return { status: 502, sentence: "The site does not answer." };
    default:
      return reason satisfies never;
  }
}
