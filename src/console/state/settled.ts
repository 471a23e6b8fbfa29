import { useEffect, useState } from "react";

/** The text, once it has stayed the same for `calmMs`: what changes often is said once, and not at each step. */
export function useSettled(text: string, calmMs: number): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(text), calmMs);
    return () => window.clearTimeout(timer);
  }, [text, calmMs]);
  return settled;
}
