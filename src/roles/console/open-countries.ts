import { monotonicMs } from "../../os/clock.ts";
import { areaLogger } from "../../os/log.ts";
import type { ConsoleSettings } from "../control.ts";
import type { CountryFile } from "./countries.ts";

/** Of the config, for reports of a reload. */
export const COUNTRY_KEY = "console.country-database";

/** What `[console] country-database` names; null = nothing. Rejects with ControlError `usage` when it cannot be used. */
export async function openCountries({ countryDatabase: path }: ConsoleSettings): Promise<CountryFile | null> {
  if (path === undefined) return null;
  // Few give one.
  const { CountryFile } = await import("./countries.ts");
  const log = areaLogger("console");
  return await CountryFile.open({ path, nowMs: monotonicMs, warn: (message) => log.warn("{message}", { message }) });
}
