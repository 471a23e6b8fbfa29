import { useEffect, useState } from "react";
import { type ForwardDraft, type ForwardPreview, isAbort } from "../api.ts";
import { useServices } from "../state/services.tsx";

/** While somebody types, the server is not asked. */
const WAIT_MS = 300;

/** What the draft would do. Null while it is not known: nothing to ask, not asked yet, or no answer (Save will say why). */
export function usePreview(draft: ForwardDraft | null, replaces: string | null): ForwardPreview | null {
  const { api } = useServices();
  const [answer, setAnswer] = useState<{ readonly of: string; readonly preview: ForwardPreview } | null>(null);
  // The draft is made anew at each render; its text tells whether it is another one.
  const text = draft === null ? null : JSON.stringify(draft);

  useEffect(() => {
    if (text === null) return;
    const asking = new AbortController();
    const ask = async () => {
      try {
        const preview = await api.until(asking.signal).previewForward(JSON.parse(text), replaces);
        setAnswer({ of: text, preview });
      } catch (error) {
        if (!isAbort(error)) setAnswer(null);
      }
    };
    const timer = window.setTimeout(() => void ask(), WAIT_MS);
    return () => {
      window.clearTimeout(timer);
      asking.abort();
    };
  }, [api, text, replaces]);

  return answer !== null && answer.of === text ? answer.preview : null;
}
