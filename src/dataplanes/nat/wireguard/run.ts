/** Runs a program to its end, by argv and never by a shell. `missing`: there is no such program. */
export type Run = (
  argv: readonly string[],
  options?: { readonly input?: string; readonly timeoutMs?: number },
) => Promise<RunResult | { readonly missing: string }>;

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
