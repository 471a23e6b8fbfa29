/** Where each page is. `setup`, `invite` and `reset` carry their one-time token after `#`, which no server and no log gets to see. */
export const PATHS = {
  overview: "/",
  forwards: "/forwards",
  devices: "/devices",
  appPorts: "/app-ports",
  visits: "/live",
  traffic: "/traffic",
  checks: "/checks",
  people: "/people",
  audit: "/audit",
  settings: "/settings",
  account: "/account",
  signIn: "/sign-in",
  setup: "/setup",
  invite: "/invite",
  reset: "/reset",
} as const;
export type PageName = keyof typeof PATHS;

/** Null: there is no such page. */
export function pageAt(path: string): PageName | null {
  const wanted = path.length > 1 ? path.replace(/\/+$/, "") : path;
  const found = Object.entries(PATHS).find(([, at]) => at === wanted);
  return found === undefined ? null : (found[0] as PageName);
}
