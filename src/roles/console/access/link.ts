import type { StoredInvite } from "../../../store/invites.ts";

/** The console's pages for links that are good once. */
const PAGES: Readonly<Record<StoredInvite["kind"], string>> = { setup: "/setup", invite: "/invite", reset: "/reset" };

/**
 * Behind `#` a browser keeps the secret to itself: it is in no request, no log of a server or proxy and no Referer.
 * `publicUrl`: where people open the console, without a slash at the end.
 */
export function linkOf(publicUrl: string, kind: "setup" | "invite", secret: string): string {
  return `${publicUrl}${PAGES[kind]}#${secret}`;
}

/** For the person of that name alone, which the page says: the secret has no slash. */
export function resetLinkOf(publicUrl: string, secret: string, name: string): string {
  return `${publicUrl}${PAGES.reset}#${secret}/${encodeURIComponent(name)}`;
}
