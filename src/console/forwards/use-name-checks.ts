import { useEffect, useState } from "react";
import { isAbort, type NameReport, sentenceOf } from "../api.ts";
import { useServices } from "../state/services.tsx";

/** Names are looked up in DNS: not while somebody types. */
const WAIT_MS = 800;
/** As many as are looked at while a form is filled in; a test of the site looks at more. */
const MAX_NAMES = 4;

export type NameCheck = { readonly report: NameReport } | { readonly failure: string } | { readonly asking: true };

export interface NameChecks {
  /** Null = it is not looked up yet. */
  readonly of: (name: string) => NameCheck | null;
  readonly again: () => void;
}

/** Whether the visitors of names come to the relay. Empty = nothing is asked. */
export function useNameChecks(names: readonly string[]): NameChecks {
  const { api } = useServices();
  const [checks, setChecks] = useState<ReadonlyMap<string, NameCheck>>(new Map());
  const [turn, setTurn] = useState(0);
  const key = names.slice(0, MAX_NAMES).join(" ");

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn asks again
  useEffect(() => {
    if (key === "") return;
    const asking = new AbortController();
    const set = (name: string, check: NameCheck) => setChecks((now) => new Map([...now, [name, check] as const]));
    const askFor = async (name: string) => {
      set(name, { asking: true });
      try {
        set(name, { report: await api.until(asking.signal).checkName({ host: name }) });
      } catch (error) {
        if (!isAbort(error)) set(name, { failure: sentenceOf(error) });
      }
    };
    const timer = window.setTimeout(() => void Promise.all(key.split(" ").map(askFor)), WAIT_MS);
    return () => {
      window.clearTimeout(timer);
      asking.abort();
    };
  }, [api, key, turn]);

  return { of: (name) => checks.get(name) ?? null, again: () => setTurn(turn + 1) };
}
