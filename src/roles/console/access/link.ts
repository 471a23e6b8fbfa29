/** Where the console takes links that are good once. */
export const WELCOME_PATH = "/welcome";

/**
 * Behind `#` a browser keeps the secret to itself: it is in no request, no log of a server or proxy and no Referer.
 * `publicUrl`: where people open the console, without a slash at the end.
 */
export function linkOf(publicUrl: string, secret: string): string {
  return `${publicUrl}${WELCOME_PATH}#${secret}`;
}
