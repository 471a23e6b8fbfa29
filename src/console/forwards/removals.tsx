import { createContext, type ReactNode, use, useCallback, useEffect, useRef, useState } from "react";
import { type Forward, sentenceOf } from "../api.ts";
import { useServices } from "../state/services.tsx";
import { useSay } from "../ui/toaster.tsx";
import { openedText } from "./site-draft.ts";

const UNDO_MS = 8_000;

export interface Removals {
  /** Ids that are not to be shown: their removal can be undone still. */
  readonly hidden: ReadonlySet<string>;
  readonly remove: (forward: Forward) => Promise<void>;
}

const RemovalsContext = createContext<Removals>({ hidden: new Set(), remove: async () => undefined });

/** Above all pages: what was removed on one can be undone on the next. */
export function RemovalsProvider({ children }: { readonly children: ReactNode }) {
  return <RemovalsContext value={useOwnRemovals()}>{children}</RemovalsContext>;
}

export function useRemovals(): Removals {
  return use(RemovalsContext);
}

/**
 * Remove, with a while to undo it. Its ports close at once, by disabling it; it is deleted when the while is over or the page is
 * left. So undo brings back the same forward, with all that it had, and nobody else got its ports meanwhile.
 */
function useOwnRemovals(): Removals {
  const { api, live } = useServices();
  const say = useSay();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const pending = useRef(new Map<string, Forward>());

  const show = useCallback((id: string) => {
    pending.current.delete(id);
    setHidden((now) => new Set([...now].filter((one) => one !== id)));
  }, []);

  const commit = useCallback(
    async (forward: Forward) => {
      if (!pending.current.delete(forward.id)) return;
      try {
        await api.removeForward(forward.id);
        live.show({ event: "forward-gone", id: forward.id });
        show(forward.id);
      } catch (error) {
        show(forward.id);
        say({ title: `${forward.name} was not removed; it is off`, description: sentenceOf(error), bad: true });
      }
    },
    [api, live, say, show],
  );

  const undo = async (forward: Forward) => {
    if (!pending.current.has(forward.id)) return;
    show(forward.id);
    if (!forward.enabled) return;
    try {
      const { value } = await api.changeForward(forward.id, { enabled: true });
      live.show({ event: "forward", forward: value });
    } catch (error) {
      say({ title: `${forward.name} is there again, but off`, description: sentenceOf(error), bad: true });
    }
  };

  const remove = async (forward: Forward) => {
    pending.current.set(forward.id, forward);
    setHidden((now) => new Set([...now, forward.id]));
    try {
      if (forward.enabled) {
        const { value } = await api.changeForward(forward.id, { enabled: false });
        live.show({ event: "forward", forward: value });
      }
    } catch (error) {
      show(forward.id);
      say({ title: `${forward.name} was not removed`, description: sentenceOf(error), bad: true });
      return;
    }
    say({
      title: `Removed ${forward.name}`,
      description: `${openedText(forward)} is closed.`,
      timeoutMs: UNDO_MS,
      action: { label: "Undo", act: () => void undo(forward) },
      onLeft: () => void commit(forward),
    });
  };

  const commitLatest = useRef(commit);
  useEffect(() => {
    commitLatest.current = commit;
  });
  // Whoever leaves the page meant it.
  useEffect(() => {
    const waiting = pending.current;
    const commitAll = () => {
      for (const forward of [...waiting.values()]) void commitLatest.current(forward);
    };
    window.addEventListener("pagehide", commitAll);
    return () => {
      window.removeEventListener("pagehide", commitAll);
      commitAll();
    };
  }, []);

  return { hidden, remove };
}
