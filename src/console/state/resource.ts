import { useCallback, useEffect, useRef, useState } from "react";
import { isAbort, type Page, type PageAsk, readAll, sentenceOf } from "../api.ts";

export interface Resource<T> {
  /** Null = not read yet. */
  readonly value: T | null;
  readonly failure: string | null;
  readonly reload: () => Promise<void>;
  readonly set: (value: T) => void;
}

/** What one call gives, read when the page opens, and every `everyMs` while it is looked at. */
export function useResource<T>(read: () => Promise<T>, everyMs: number | null = null): Resource<T> {
  const [value, setValue] = useState<T | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const latest = useRef(0);

  const reload = useCallback(async () => {
    const turn = ++latest.current;
    try {
      const found = await read();
      if (turn !== latest.current) return;
      setValue(found);
      setFailure(null);
    } catch (error) {
      if (turn === latest.current && !isAbort(error)) setFailure(sentenceOf(error));
    }
  }, [read]);

  useEffect(() => {
    void reload();
    return () => {
      latest.current++;
    };
  }, [reload]);

  useEffect(() => {
    if (everyMs === null) return;
    const timer = window.setInterval(() => {
      if (!document.hidden) void reload();
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs, reload]);

  return { value, failure, reload, set: setValue };
}

/** Every item of a list. */
export function useList<T>(
  list: (ask: PageAsk) => Promise<Page<T>>,
  everyMs: number | null = null,
): Resource<readonly T[]> {
  return useResource(
    useCallback(() => readAll(list), [list]),
    everyMs,
  );
}

/** The time, again every `everyMs`: for ages and countdowns. */
export function useNow(everyMs = 10_000): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNowMs(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
  return nowMs;
}
