import { type HostPort, parseHostPort } from "../../wire/endpoint.ts";

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/**
 * The name that the request calls this server by; null when it is none of ours. A page of any site can have its own name
 * lead here (DNS rebinding: CVE-2022-41924), but cannot make a browser say another name.
 */
export function ownHost(headers: Headers, tls: boolean, isOwn: (host: HostPort) => boolean): HostPort | null {
  const parsed = parseHostPort(headers.get("host") ?? "", { defaultPort: defaultPort(tls) });
  return parsed.ok && isOwn(parsed.value) ? parsed.value : null;
}

/**
 * What browsers say of where a request comes from: ours, another's, or nothing, as programs that are no browser. Ours is
 * the same name AND port: at other ports of a relay's name are other people's services, which are the "same site".
 */
export type Provenance = "ours" | "foreign" | "unsaid";

export function provenance(headers: Headers, host: HostPort, tls: boolean): Provenance {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site === null && origin === null) return "unsaid";
  // Both, when both are said. `none`: a person typed the address; nobody types what is not GET.
  if (site !== null && site !== "same-origin") return "foreign";
  return origin === null || isOrigin(origin, host, tls) ? "ours" : "foreign";
}

/** Whether a page of another origin made a browser ask. */
export function isForeignRead(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site");
  return site !== null && site !== "same-origin" && site !== "none";
}

/** A proxy before this server may end the TLS: the scheme is not compared, and without a port both mean their own default. */
function isOrigin(origin: string, host: HostPort, tls: boolean): boolean {
  const url = URL.parse(origin);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return false;
  const parsed = parseHostPort(url.host, { defaultPort: defaultPort(tls) });
  return parsed.ok && parsed.value.host === host.host && parsed.value.port === host.port;
}

function defaultPort(tls: boolean): number {
  return tls ? HTTPS_PORT : HTTP_PORT;
}
