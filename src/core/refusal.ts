/**
 * Why a forward was not accepted: `policy` = the relay's operator does not allow it; `conflict` = somebody holds the
 * port; `invalid` = what was asked makes no sense (a peer that skips its own checks).
 */
export type RefusalKind = "policy" | "conflict" | "invalid";

/** `message` is one sentence that says what to do; it is safe to show to whoever asked. */
export interface Refusal {
  readonly kind: RefusalKind;
  readonly message: string;
}
