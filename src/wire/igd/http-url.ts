import { parseAddress } from "../address.ts";
import { formatHostPort } from "../endpoint.ts";

/** An http URL whose host is an IP address: no name is ever looked up for a router, and no other scheme followed. */
export interface HttpUrl {
  /** Canonical, without brackets and zone. */
  readonly address: string;
  readonly port: number;
  /** With its query, in the form that goes into a request line: `/path?query`. */
  readonly path: string;
}

/** The longest of a known router has 90. */
const MAX_URL_CHARS = 1024;
export const HTTP_PORT = 80;

export function formatHttpUrl({ address, port, path }: HttpUrl): string {
  return `http://${formatHostPort(address, port)}${path}`;
}

/** Null = not an absolute http URL with a number as its host. */
export function parseHttpUrl(text: string): HttpUrl | null {
  return read(text, undefined);
}

/** RFC 3986 §5: absolute, on another port, from the root or relative to `base`. Null = it leads to no number over http. */
export function resolveHttpUrl(base: HttpUrl, reference: string): HttpUrl | null {
  return read(reference, formatHttpUrl(base));
}

function read(text: string, base: string | undefined): HttpUrl | null {
  const trimmed = text.trim();
  if (trimmed.length > MAX_URL_CHARS) return null;
  // WHATWG's URL knows no zones; one names an interface of the sender's (RFC 6874 §1).
  const unzoned = trimmed.replace(/^(http:\/\/\[[0-9a-f:.]+)%[^\]/]*\]/i, "$1]");
  if (!URL.canParse(unzoned, base)) return null;
  const url = new URL(unzoned, base);
  if (url.protocol !== "http:" || url.username !== "" || url.password !== "") return null;
  const address = parseAddress(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  const port = url.port === "" ? HTTP_PORT : Number(url.port);
  if (!address.ok || port === 0) return null;
  const resolved = { address: address.value, port, path: `${url.pathname}${url.search}` };
  // What is escaped, and what the base adds, makes it longer.
  return formatHttpUrl(resolved).length > MAX_URL_CHARS ? null : resolved;
}
