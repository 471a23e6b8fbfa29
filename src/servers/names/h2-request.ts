import type { IncomingHttpHeaders } from "node:http2";
import type { RequestRefusal } from "../../core/names/request.ts";
import { checkRequestHead, type Field, type RequestHead } from "../../wire/http1/head.ts";
import { err, type Result } from "../../wire/result.ts";

const MALFORMED: RequestRefusal = { status: 400, sentence: "This request is not in order." };
/** Fields of HTTP/1's connections, which a request of HTTP/2 must not have (RFC 9113 §8.2.2). */
const FORBIDDEN = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/**
 * A request of HTTP/2 as one of HTTP/1.1, so that one judge judges both, and what is handed on is what was judged.
 * `hasContent`: its stream is not over with its head.
 */
export function requestOfH2(headers: IncomingHttpHeaders, hasContent: boolean): Result<RequestHead, RequestRefusal> {
  const [method, target, authority] = [headers[":method"], headers[":path"], headers[":authority"]];
  if (method === undefined || target === undefined || method === "CONNECT") return err(MALFORMED);
  const host = headers["host"];
  // Two names would be two sites: who routes by one must not be judged by the other.
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return err({ status: 421, sentence: "This request names two sites." });
  }
  const named = authority ?? host;
  if (typeof named !== "string") return err(MALFORMED);
  const fields: Field[] = [{ name: "Host", value: named }];
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || name === "host" || value === undefined) continue;
    if (FORBIDDEN.includes(name)) return err(MALFORMED);
    for (const one of typeof value === "string" ? [value] : value) fields.push({ name, value: one });
  }
  if (hasContent && headers["content-length"] === undefined) {
    fields.push({ name: "Transfer-Encoding", value: "chunked" });
  }
  // HTTP/2 can carry what would be two lines of HTTP/1 (RFC 9113 §8.2.1).
  const checked = checkRequestHead({ method, target, minor: 1, fields });
  return checked.ok ? checked : err(MALFORMED);
}
