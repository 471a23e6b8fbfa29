import { Refusal, Status } from "./problem.ts";
import { PROBLEM_TYPES } from "./protocol.ts";

const STRONG = /^"([\x21\x23-\x7e]*)"$/;

/** A strong entity tag (RFC 9110 §8.8.3) of any text. */
export function versionTag(version: string): string {
  return `"${encodeURIComponent(version)}"`;
}

/** What `If-Match` names; null = whatever it is. */
export function versionOf(header: string | null): string | null {
  if (header === null || header.trim() === "*") return null;
  const tag = STRONG.exec(header.trim())?.[1];
  const version = tag === undefined ? null : decoded(tag);
  if (version !== null) return version;
  // A weak one never matches (RFC 9110 §13.1.1), and nobody got more than one from here.
  throw new Refusal(Status.changed, "If-Match is no ETag of this server: read the object again.", {
    type: PROBLEM_TYPES.changed,
  });
}

function decoded(tag: string): string | null {
  try {
    return decodeURIComponent(tag);
  } catch {
    return null;
  }
}
