import { useEffect, useRef, useState } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icons.tsx";

const SHOWN_MS = 2_000;

interface CopyProps {
  readonly text: string;
  /** For screen readers: what is copied. */
  readonly label: string;
  /** It has several. */
  readonly lines?: true;
}

/** A line to take elsewhere. Over plain HTTP a browser has no clipboard for pages: then it is selected, to be copied by hand. */
export function CopyLine({ text, label, lines }: CopyProps) {
  const line = useRef<HTMLElement>(null);
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return;
    const timer = window.setTimeout(() => setSaid(null), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      if (line.current !== null) window.getSelection()?.selectAllChildren(line.current);
      setSaid("Press Ctrl+C");
    }
  };
  return (
    <div className={lines === true ? "copy-line copy-lines" : "copy-line"}>
      <code ref={line}>{text}</code>
      <Button onClick={() => void copy()} aria-label={`Copy ${label}`}>
        <Icon name={said === "Copied" ? "check" : "copy"} />
        <span aria-live="polite">{said ?? "Copy"}</span>
      </Button>
    </div>
  );
}
