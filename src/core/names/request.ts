import { type Framing, requestFraming } from "../../wire/http1/body.ts";
import { type Field, membersOf, type RequestHead, valuesOf } from "../../wire/http1/head.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { siteOfAuthority } from "../../wire/site-name.ts";

/** A status of HTTP, and one sentence for the visitor. */
export interface RequestRefusal {
  readonly status: number;
  readonly sentence: string;
}

/** What the relay knows of who asks. */
export interface Asker {
  /** An IP literal. */
  readonly address: string;
  readonly scheme: "http" | "https";
}

/** A request that may be handed on. */
export interface JudgedRequest {
  readonly head: RequestHead;
  readonly framing: Framing;
  /** It asks to speak another protocol from then on. */
  readonly upgrades: boolean;
  /** The connection ends after the answer. */
  readonly closes: boolean;
}

const MALFORMED: RequestRefusal = { status: 400, sentence: "This request is not in order." };
const EXPECTATION: RequestRefusal = { status: 417, sentence: "This site expects nothing but 100-continue." };
const CONTINUE = "100-continue";
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/**
 * The one site that a request is for (RFC 9112 §3.2): by its Host, and by its target if that names one. Whatever could be
 * read as two sites is refused: the relay must not let in by one name what the service takes for another.
 */
export function siteOfRequest({ method, target, fields }: RequestHead): Result<string, RequestRefusal> {
  const hosts = valuesOf(fields, "host");
  const [host] = hosts;
  if (host === undefined) return refuse(400, "This request names no site: send a Host.");
  if (hosts.length > 1) return refuse(400, "This request names two sites.");
  const site = siteOfAuthority(host);
  if (site === null) return refuse(404, "There is no site of this name here.");
  if (method === "CONNECT") return refuse(405, "This is no proxy.");
  const absolute = ABSOLUTE.exec(target);
  if (absolute !== null) {
    return siteOfAuthority(absolute[1] ?? "") === site ? ok(site) : refuse(421, "This request names two sites.");
  }
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) return ok(site);
  return err(MALFORMED);
}

const DROPPED: ReadonlySet<string> = new Set([
  "host",
  // Fields of one connection only (RFC 9110 §7.6.1), beside those that its Connection names.
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "upgrade",
  "http2-settings",
  "proxy-authorization",
  // Fields behind chunks are read here, and go no further: some services would take them for fields of the head.
  "trailer",
  // Written anew, in one form: `Content-Length: 010` is 8 to some.
  "content-length",
  "transfer-encoding",
  "expect",
  // What services believe of their proxy, so that it must never be the visitor's word; and httpoxy's `Proxy`.
  "forwarded",
  "forwarded-for",
  "x-forwarded",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-remote-ip",
  "x-remote-addr",
  "true-client-ip",
  "client-ip",
  "cf-connecting-ip",
  "fastly-client-ip",
  "proxy",
]);
const OUR_PREFIX = "x-forwarded-";
/** What a Connection may not take out of a request. */
const NEEDED = ["host", "content-length", "transfer-encoding", "cookie", "authorization"];

/** The same request as the service gets it, for `site`, which it is for. */
export function judgeRequest(
  head: RequestHead,
  site: string,
  asker: Asker,
  hidesAuthorization: boolean,
): Result<JudgedRequest, RequestRefusal> {
  const framing = requestFraming(head);
  if (!framing.ok) return err(MALFORMED);
  const expects = valuesOf(head.fields, "expect");
  // RFC 9110 §10.1.1: there is one expectation, and one way to write it.
  if (expects.length > 1 || expects.some((value) => value.toLowerCase() !== CONTINUE)) return err(EXPECTATION);
  const options = membersOf(head.fields, "connection");
  if (options.some((option) => NEEDED.includes(option))) return err(MALFORMED);
  const protocol = valuesOf(head.fields, "upgrade").join(", ");
  const isEmpty = framing.value.kind === "length" && framing.value.bytes === 0;
  // HTTP/2 without TLS would go on past all that is judged here.
  const isSafe = !/\bh2c\b/i.test(protocol) && protocol !== "";
  const upgrades = isSafe && head.minor === 1 && isEmpty && options.includes("upgrade");
  const closes = options.includes("close") || (head.minor === 0 && !options.includes("keep-alive"));
  const kept = head.fields.filter(({ name }) => isKept(name, options, hidesAuthorization));
  const authority = `${site}${portOf(valuesOf(head.fields, "host")[0] ?? "")}`;
  const fields: Field[] = [
    { name: "Host", value: authority },
    ...kept,
    ...framingFields(head, framing.value),
    ...(expects.length > 0 && head.minor === 1 && !isEmpty ? [{ name: "Expect", value: CONTINUE }] : []),
    { name: "X-Forwarded-For", value: asker.address },
    { name: "X-Forwarded-Proto", value: asker.scheme },
    { name: "X-Forwarded-Host", value: authority },
    ...(upgrades ? [{ name: "Upgrade", value: protocol }] : []),
    ...connectionOf(upgrades, closes, head.minor),
  ];
  const target = originForm(head.target);
  if (target === null) return err(MALFORMED);
  return ok({ head: { ...head, target, fields }, framing: framing.value, upgrades, closes });
}

/** Whether a field of the visitor's reaches the service. CGI takes `_` and `-` for one. */
export function isKept(name: string, options: readonly string[], hidesAuthorization: boolean): boolean {
  const written = name.toLowerCase();
  const key = written.replaceAll("_", "-");
  if (DROPPED.has(key) || key.startsWith(OUR_PREFIX)) return false;
  return !options.includes(written) && !(hidesAuthorization && key === "authorization");
}

/** None, where the request had none. */
function framingFields({ fields }: RequestHead, framing: Framing): Field[] {
  if (framing.kind === "chunked") return [{ name: "Transfer-Encoding", value: "chunked" }];
  if (framing.kind !== "length" || valuesOf(fields, "content-length").length === 0) return [];
  return [{ name: "Content-Length", value: String(framing.bytes) }];
}

function connectionOf(upgrades: boolean, closes: boolean, minor: 0 | 1): Field[] {
  if (upgrades) return [{ name: "Connection", value: "Upgrade" }];
  if (closes) return [{ name: "Connection", value: "close" }];
  return minor === 0 ? [{ name: "Connection", value: "keep-alive" }] : [];
}

/** The path and query of a target; null = it has none that can be asked for. */
export function originForm(target: string): string | null {
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) return target;
  const [path = ""] = (absolute[2] ?? "").split("#", 1);
  if (path === "") return "/";
  if (path.startsWith("?")) return `/${path}`;
  return path.startsWith("/") ? path : null;
}

/** With its colon; siteOfAuthority has found it to be in order. */
function portOf(authority: string): string {
  const colon = authority.indexOf(":");
  return colon < 0 || colon === authority.length - 1 ? "" : authority.slice(colon);
}

function refuse(status: number, sentence: string): Result<never, RequestRefusal> {
  return err({ status, sentence });
}
