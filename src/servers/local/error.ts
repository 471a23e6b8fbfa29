/** Why a request to a running relay or agent failed. The command line's exit codes follow from it (`EXIT_CODES`). */
export type ControlErrorKind = "usage" | "refused" | "unreachable" | "failed";

/**
 * The one exception that crosses the control interfaces, in process and over the local socket alike.
 * `message` is one sentence for people that says what to do next; it never holds a secret.
 */
export class ControlError extends Error {
  override readonly name = "ControlError";
  constructor(
    readonly kind: ControlErrorKind,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The program's exit codes: stable, part of its interface. */
export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  unreachable: 4,
  /** Of `doctor`: nothing fails, and something may. Of `upgrade --check`: there is a newer version. */
  warnings: 5,
} as const;
