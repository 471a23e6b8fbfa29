import { useCallback, useState } from "react";
import { sentenceOf } from "../api.ts";
import { useServices } from "../state/services.tsx";
import type { CheckState } from "./check-panel.tsx";

export interface Checks {
  readonly of: (id: string) => CheckState | null;
  readonly run: (id: string) => Promise<void>;
  readonly forget: (id: string) => void;
}

/** The tests that were started on this page, by forward. */
export function useChecks(): Checks {
  const { api } = useServices();
  const [states, setStates] = useState<ReadonlyMap<string, CheckState>>(new Map());
  const set = useCallback(
    (id: string, state: CheckState) => setStates((now) => new Map([...now, [id, state] as const])),
    [],
  );
  const run = useCallback(
    async (id: string) => {
      set(id, { kind: "running" });
      try {
        set(id, { kind: "done", report: await api.checkForward(id) });
      } catch (error) {
        set(id, { kind: "failed", message: sentenceOf(error) });
      }
    },
    [api, set],
  );
  const forget = useCallback((id: string) => setStates((now) => new Map([...now].filter(([one]) => one !== id))), []);
  return { of: (id) => states.get(id) ?? null, run, forget };
}
