import { withStorage } from "./storage.ts";

const KEY = "hatchway-page-key";

/** Of the session that goes on in this browser; null = nobody is signed in. */
export function storedPageKey(): string | null {
  return withStorage((storage) => storage.getItem(KEY), null);
}

/** Kept by origin, port included: pages of another port of this host cannot read it. */
export function keepPageKey(pageKey: string): void {
  withStorage((storage) => storage.setItem(KEY, pageKey), undefined);
}

/** Another session's stays. */
export function dropPageKey(pageKey: string): void {
  if (storedPageKey() === pageKey) withStorage((storage) => storage.removeItem(KEY), undefined);
}
