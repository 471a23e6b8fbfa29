const KEY = "hatchway-theme";

/** system: as the browser says. */
export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

/** A browser that keeps nothing (private windows, settings) throws: then the theme lasts as long as the page. */
function withStorage<T>(use: (storage: Storage) => T, otherwise: T): T {
  try {
    return use(window.localStorage);
  } catch {
    return otherwise;
  }
}

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
