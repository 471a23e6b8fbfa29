import { type CidrSet, parseAddress } from "../wire/address.ts";

const MAX_PROXIES = 32;

/**
 * Who asks: the peer, or the last address before the trusted proxies that X-Forwarded-For names; each proxy appends the
 * one that it saw, so everything to the left of that is the visitor's own invention. Null: a trusted proxy names nobody.
 */
export function visitorOf(peer: string, forwardedFor: string | null, trusted: CidrSet): string | null {
  const parsed = parseAddress(peer);
  if (!parsed.ok) return null;
  if (!trusted.contains(parsed.value)) return parsed.value;
  const named = (forwardedFor ?? "").split(",").slice(-MAX_PROXIES);
  for (const text of named.toReversed()) {
    const address = parseAddress(text.trim());
    if (!address.ok) return null;
    if (!trusted.contains(address.value)) return address.value;
  }
  return null;
}
