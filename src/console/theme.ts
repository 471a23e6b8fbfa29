import { withStorage } from "./storage.ts";

const KEY = "hatchway-theme";

/** system: as the browser says. */
export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

export function storedTheme(): Theme {
  const stored = withStorage((storage) => storage.getItem(KEY), null);
  return THEMES.find((theme) => theme === stored) ?? "system";
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function keepTheme(theme: Theme): void {
  applyTheme(theme);
  withStorage((storage) => storage.setItem(KEY, theme), undefined);
}
