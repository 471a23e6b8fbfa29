import type { Action, Asker } from "../../../core/access/rights.ts";
import { ApiFailure } from "../../../servers/api/backend.ts";
import { needOf, whyNot } from "../../../servers/api/need.ts";

/** One for a wrong name, a wrong password and a disabled person: nobody learns which. */
export function wrongCredentials(): ApiFailure {
  return new ApiFailure("unauthorized", "The name or the password is wrong.");
}

export function tooManyTries(waitMs: number): ApiFailure {
  const retryAfterSec = Math.max(1, Math.ceil(waitMs / 1000));
  return new ApiFailure("limited", `Too many tries: wait ${waitText(retryAfterSec)} and try again.`, { retryAfterSec });
}

export function noSuch(what: string): ApiFailure {
  return new ApiFailure("not-found", `There is no such ${what}.`);
}

export function wrongField(path: string, message: string, kind: "invalid" | "conflict" = "invalid"): ApiFailure {
  return new ApiFailure(kind, message, { errors: [{ path, message }] });
}

/** Rejects what the asker may not do. */
export function demand(who: Asker, action: Action): void {
  const why = whyNot(needOf(action), who);
  if (why !== null) throw new ApiFailure("forbidden", why);
}

const MINUTE_SEC = 60;

function waitText(seconds: number): string {
  if (seconds < MINUTE_SEC) return seconds === 1 ? "a second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / MINUTE_SEC);
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}
