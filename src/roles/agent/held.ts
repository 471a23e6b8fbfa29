import type { LocalSpec, Origin, UpstreamSpec } from "../../core/forward.ts";
import type { EntryError } from "../../dataplanes/io/entry-error.ts";
import type { LocalForward } from "../local-forward.ts";
import type { UpstreamForward } from "../upstream/forward.ts";
import type { RemoteForward } from "./remote-forward.ts";

/** How a forward came to be on this agent, and so what ends it. */
export type Held = {
  readonly origin: Origin;
  /** Attached forwards live as long as a command; the others last. */
  readonly attached: boolean;
} & (
  | { readonly kind: "remote"; readonly forward: RemoteForward }
  | { readonly kind: "local"; spec: LocalSpec; forward: LocalForward | null; error: EntryError | null }
  /** Null: it is disabled. */
  | { readonly kind: "upstream"; readonly spec: UpstreamSpec; readonly forward: UpstreamForward | null }
);
