import type { HookFilter } from "../../core/hooks.ts";

interface AnyHook {
  /** How the log calls it. */
  readonly label: string;
  readonly filter: HookFilter;
  readonly timeoutMs: number;
}

/** A program of the operator's. `argv` may have gluetun's templates. */
export interface ProgramHook extends AnyHook {
  readonly kind: "program";
  readonly argv: readonly string[];
}

/** An address that is told by POST. */
export interface WebHook extends AnyHook {
  readonly kind: "webhook";
  /** May be a secret itself: it is never logged. */
  readonly url: string;
  /** The key of the signature; null = not signed. */
  readonly keyFile: string | null;
}

export type HookSettings = ProgramHook | WebHook;
