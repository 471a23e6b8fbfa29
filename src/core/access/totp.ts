/** RFC 6238 section 4: what every authenticator app takes when the otpauth link says nothing else. */
export const TOTP_STEP_SEC = 30;
export const TOTP_DIGITS = 6;
/** Steps before and after the present one: a phone's clock is half a minute off, a person types slowly (section 5.2). */
const WINDOW_STEPS = 1;

/**
 * Which step `code` belongs to; null = to none that is good now. A step that was used, and those before it, are not good any
 * more (RFC 6238 section 5.2: a code is good once). Every step of the window is compared, all of each: how long it takes says
 * nothing. `codeAt`: the code of a step.
 */
export function stepOfCode(
  code: string,
  codeAt: (step: number) => string,
  lastStep: number | null,
  nowMs: number,
): number | null {
  const given = code.replaceAll(/[\s-]/g, "");
  const present = Math.floor(nowMs / 1000 / TOTP_STEP_SEC);
  let found: number | null = null;
  for (let step = present - WINDOW_STEPS; step <= present + WINDOW_STEPS; step++) {
    if (sameText(given, codeAt(step)) && step > (lastStep ?? -1)) found = step;
  }
  return found;
}

/** In a time that depends on the lengths alone. */
export function sameText(given: string, wanted: string): boolean {
  let differs = given.length ^ wanted.length;
  for (let at = 0; at < wanted.length; at++) differs |= given.charCodeAt(at) ^ wanted.charCodeAt(at);
  return differs === 0;
}
