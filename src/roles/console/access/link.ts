import type { StoredInvite } from "../../../store/invites.ts";

/** The console's pages for links that are good once. */
const PAGES: Readonly<Record<StoredInvite["kind"], string>> = { setup: "/setup", invite: "/invite", reset: "/invite" };

/**
 * Behind `#` a browser keeps the secret to itself: it is in no request, no log of a server or proxy and no Referer.
 * `publicUrl`: where people open the console, without a slash at the end.
 */
export function linkOf(publicUrl: string, kind: StoredInvite["kind"], secret: string): string {
  return `${publicUrl}${PAGES[kind]}#${secret}`;
}
