import type { ResultOutcome } from "../../wire/tunnel/control.ts";

/** What a device hears when its request is not carried out; `message` is one sentence for its owner. */
export type Refused = Extract<ResultOutcome, { kind: "refused" }>;

export function refused(why: Refused["why"], message: string): Refused {
  return { kind: "refused", why, message };
}
