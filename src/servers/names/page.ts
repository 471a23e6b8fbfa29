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
export const CHALLENGE = 'Basic realm="site", charset="UTF-8"';

/** A whole answer of the relay's own, in plain text; the connection ends after it. */
export function pageBytes({ status, sentence }: RequestRefusal, more: readonly Field[] = []): Uint8Array {
  const text = new TextEncoder().encode(sentence === "" ? "" : `${sentence}\n`);
  const fields: Field[] = [
    { name: "Content-Type", value: "text/plain; charset=utf-8" },
    { name: "Content-Length", value: String(text.length) },
    { name: "Cache-Control", value: "no-store" },
    { name: "X-Content-Type-Options", value: "nosniff" },
    ...(status === 503 || status === 429 ? [{ name: "Retry-After", value: String(RETRY_AFTER_SEC) }] : []),
    ...(status === 401 ? [{ name: "WWW-Authenticate", value: CHALLENGE }] : []),
    ...more,
    { name: "Connection", value: "close" },
  ];
  const head = encodeResponseHead({ status, reason: REASONS[status] ?? "", minor: 1, fields });
  const bytes = new Uint8Array(head.length + text.length);
  bytes.set(head);
  bytes.set(text, head.length);
  return bytes;
}

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
