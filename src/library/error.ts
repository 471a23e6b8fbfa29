import type * as declared from "./hatchway.d.ts";

export class HatchwayError extends Error implements declared.HatchwayError {
  override readonly name: string = "HatchwayError";
  readonly kind: declared.HatchwayError["kind"];

  constructor(kind: declared.HatchwayError["kind"], message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export class OpenPortError extends HatchwayError implements declared.OpenPortError {
  override readonly name = "OpenPortError";
  declare readonly kind: declared.OpenPortError["kind"];

  constructor(kind: declared.OpenPortError["kind"], message: string, options?: { readonly cause?: unknown }) {
    super(kind, message, options);
  }
}

/** One sentence for what a signal called off. */
export function abortedBy(signal: AbortSignal | undefined): HatchwayError {
  return new HatchwayError("aborted", "It was called off.", { cause: signal?.reason });
}
