import type { Result } from "../wire/result.ts";

/** What the parts that run programs need of the runner; tests give one that runs them in a network namespace. */
export type Run = (
  argv: readonly string[],
  options?: { readonly input?: string; readonly timeoutMs?: number },
) => Promise<Result<RunOutput, RunError>>;

/** A program that fails is an output, too. */
export interface RunOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunError {
  readonly kind: "missing" | "permission" | "timeout" | "aborted" | "failed";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** Starts a program that goes on, and hands on each line that it prints; it is killed when `signal` aborts. */
export type Follow = (
  argv: readonly string[],
  options: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
) => Result<{ readonly exited: Promise<number> }, RunError>;
