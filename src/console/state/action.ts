import { useCallback, useState } from "react";
import { isAbort } from "../api.ts";
import { FormProblem } from "./form-problem.ts";

export interface Action<A extends readonly unknown[]> {
  readonly busy: boolean;
  /** What went wrong the last time; null = nothing. */
  readonly problem: FormProblem | null;
  readonly run: (...args: A) => Promise<void>;
  readonly clear: () => void;
}

/** Something that a button starts: once at a time, and what goes wrong is kept to be shown. */
export function useAction<A extends readonly unknown[]>(act: (...args: A) => Promise<void>): Action<A> {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<FormProblem | null>(null);
  const run = useCallback(
    async (...args: A) => {
      setBusy(true);
      setProblem(null);
      try {
        await act(...args);
      } catch (error) {
        if (!isAbort(error)) setProblem(FormProblem.from(error));
      } finally {
        setBusy(false);
      }
    },
    [act],
  );
  const clear = useCallback(() => setProblem(null), []);
  return { busy, problem, run, clear };
}
