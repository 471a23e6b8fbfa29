import type * as declared from "./hatchway.d.ts";

export class OpenPortError extends Error implements declared.OpenPortError {
  override readonly name = "OpenPortError";
  readonly kind: declared.OpenPortError["kind"];

  constructor(kind: declared.OpenPortError["kind"], message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
