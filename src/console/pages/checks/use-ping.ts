import { useCallback, useEffect, useRef, useState } from "react";
import { isAbort, type PingSample, sentenceOf } from "../../api.ts";
import { useServices } from "../../state/services.tsx";

export interface PingRun {
  readonly id: string;
  readonly samples: readonly PingSample[];
  readonly slots: number;
  /** stopped: by whoever looks, or by another page of theirs that began to measure. */
  readonly state: "running" | "done" | "stopped";
  /** Why it could not be measured; null = it could. */
  readonly failure: string | null;
}

export interface Ping {
  /** Null = nothing was measured on this page yet. */
  readonly run: PingRun | null;
  readonly start: (id: string, samples: number) => void;
  readonly stop: () => void;
}

/** One run at a time; it ends when the page is left. */
export function usePing(): Ping {
  const { api } = useServices();
  const [run, setRun] = useState<PingRun | null>(null);
  const going = useRef<AbortController | null>(null);
  useEffect(() => () => going.current?.abort(), []);

  const start = useCallback(
    (id: string, samples: number) => {
      going.current?.abort();
      const own = new AbortController();
      going.current = own;
      const change = (part: Partial<PingRun>) => {
        if (going.current === own) setRun((now) => (now === null ? null : { ...now, ...part }));
      };
      setRun({ id, samples: [], slots: samples, state: "running", failure: null });
      const follow = async () => {
        const found: PingSample[] = [];
        try {
          for await (const event of api.pingForward(id, { samples, signal: own.signal })) {
            if (event.event === "done") change({ state: "done" });
            if (event.event !== "sample") continue;
            found.push(event);
            change({ samples: [...found] });
          }
          setRun((now) => (going.current === own && now?.state === "running" ? { ...now, state: "stopped" } : now));
        } catch (error) {
          change({ state: "stopped", ...(isAbort(error) ? {} : { failure: sentenceOf(error) }) });
        }
      };
      void follow();
    },
    [api],
  );
  const stop = useCallback(() => going.current?.abort(), []);
  return { run, start, stop };
}
