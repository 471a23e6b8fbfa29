import { parseAddress } from "./address.ts";
import { MAX_HOST_CHARS } from "./endpoint.ts";
import { err, ok, type Result } from "./result.ts";
import { quoted, type TextError } from "./text-error.ts";

/**
 * The names of web sites, in the one form that everything compares: lower case, without the dot of the root, in ASCII
 * (`xn--…`), two labels or more, and no address. What a visitor says (Host, :authority, SNI) and what a person asks for
 * go through here, so that nothing is routed by one spelling and judged by another.
 */
const MAX_LABEL_CHARS = 63;
/** RFC 952 and 1123 §2.1: letters, digits and inner hyphens. An underscore is in no name of a host. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const WILDCARD = "*.";
const MAX_PORT_DIGITS = 5;
const MAX_PORT = 65_535;

/** Null = it is not the name of a site. `Example.ORG.` is `example.org`. */
export function siteNameOf(text: string): string | null {
  // First: lower case makes letters of ASCII of others (KELVIN SIGN).
  if (/[^\x21-\x7e]/.test(text)) return null;
  const name = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  if (name.length === 0 || name.length > MAX_HOST_CHARS) return null;
  const labels = name.split(".");
  if (labels.length < 2 || !labels.every((label) => label.length <= MAX_LABEL_CHARS && LABEL.test(label))) return null;
  // The last label of a name is never a number (RFC 1123 §2.1): that would be read as an address somewhere.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") || parseAddress(name).ok) return null;
  return name;
}

/** The site of a Host header or an `:authority` (RFC 9110 §7.2): a name, and perhaps a port, which names no other site. */
export function siteOfAuthority(authority: string): string | null {
  const colon = authority.indexOf(":");
  if (colon < 0) return siteNameOf(authority);
  const port = authority.slice(colon + 1);
  // RFC 3986 §3.2.3 allows an empty port.
  if (port.length > MAX_PORT_DIGITS || !/^\d*$/.test(port) || Number(port) > MAX_PORT) return null;
  return siteNameOf(authority.slice(0, colon));
}

/** What a person asks for: a name, or `*.` and a name for every label before it. */
export function parseSitePattern(text: string): Result<string, TextError> {
  const name = siteNameOf(text.startsWith(WILDCARD) ? text.slice(WILDCARD.length) : text);
  if (name !== null) return ok(text.startsWith(WILDCARD) ? `${WILDCARD}${name}` : name);
  const message = `Write the name of a site in ASCII with a dot in it, such as app.example.org (xn--… for other letters), not ${quoted(text)}.`;
  return err({ message, offset: 0, length: text.length });
}

/** The wildcard that a name falls under: `*.example.org` for `app.example.org`. One label, as in certificates. */
export function wildcardOf(name: string): string {
  return `${WILDCARD}${name.slice(name.indexOf(".") + 1)}`;
}

export function isWildcard(pattern: string): boolean {
  return pattern.startsWith(WILDCARD);
}

/** Whether a domain that is granted has a name or pattern in it: itself, and for `*.example.org` all below, however deep. */
export function domainCovers(domain: string, pattern: string): boolean {
  if (domain === pattern) return true;
  if (!isWildcard(domain)) return false;
  const bare = isWildcard(pattern) ? pattern.slice(WILDCARD.length) : pattern;
  return bare.endsWith(domain.slice(1));
}
