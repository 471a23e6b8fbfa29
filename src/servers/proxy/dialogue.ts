import type { HostPort } from "../../wire/endpoint.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { Answer } from "./asking-end.ts";

/** What a dialogue wants done after the bytes it was fed: `reply` is sent first; `next` null = more bytes are needed. */
export interface Step {
  readonly reply: Uint8Array | null;
  readonly next: Next | null;
  /** The credentials that were asked for and given with these bytes; null = there were none. */
  readonly credentials: "right" | "wrong" | null;
}

export type Next =
  | { readonly kind: "connect"; readonly to: HostPort; readonly answer: Answer; readonly rest: Uint8Array }
  | { readonly kind: "associate"; readonly from: HostPort }
  | { readonly kind: "refuse"; readonly reason: ReasonName };

/** One client's side of the talk before the request, in one protocol. */
export interface Dialogue {
  feed(bytes: Uint8Array): Step;
}
