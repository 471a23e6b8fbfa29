import type { ConsoleReady } from "../roles/control.ts";
import { parseHostPort } from "../wire/endpoint.ts";

const CONSOLE_PORT = 7780;

/** `7780` is this machine's own. */
export function parseConsole(text: string) {
  return parseHostPort(text, { defaultPort: CONSOLE_PORT, defaultHost: "127.0.0.1", allowPortZero: true });
}

/** For a log, which more people read than may be the administrator. */
export function linklessText({ url, setupLink }: ConsoleReady): string {
  if (setupLink === null) return `The console is at ${url}\n`;
  return `The console at ${url} waits for its first administrator: \`hatchway user invite --role admin\` prints a link for them.\n`;
}

/** Where the console is, and how its first administrator gets in. */
export function consoleText({ url, setupLink }: ConsoleReady): string {
  if (setupLink === null) return `The console is at ${url}\n`;
  return `The console waits for its first administrator. Open this link, which works once, within a day:\n  ${setupLink}\n`;
}
