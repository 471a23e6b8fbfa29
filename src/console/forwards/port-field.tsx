import { type RefObject, useId, useRef, useState } from "react";
import { type PortSet, type PortSetError, parsePortSet } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import { Button } from "../ui/button.tsx";
import { markPlace, mend } from "./words.ts";

export function readPorts(text: string): Result<PortSet, PortSetError> | null {
  return text.trim() === "" ? null : parsePortSet(text);
}

interface PortFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** What the server says of it. */
  readonly error: string | null;
  /** Somebody tried to save: now an empty field is one to be filled. */
  readonly asked: boolean;
  readonly hint: string;
  readonly placeholder: string;
  readonly input?: RefObject<HTMLInputElement | null>;
}

/**
 * Reads ports as they are typed. What is wrong is underlined at its place, in a copy of the text behind the input, and said in
 * a sentence; where the parser knows better, one press mends it. A place at the end of what is being typed is only
 * unfinished: it is said quietly.
 */
export function PortField({ label, value, onValue, error, asked, hint, placeholder, input }: PortFieldProps) {
  const id = useId();
  const own = useRef<HTMLInputElement>(null);
  const field = input ?? own;
  const behind = useRef<HTMLDivElement>(null);
  const [typing, setTyping] = useState(false);
  const read = readPorts(value);
  const fault = read === null || read.ok ? null : read.error;
  const unfinished = fault !== null && typing && !asked && fault.offset + fault.length >= value.trimEnd().length;
  const missing = asked && read === null ? "Write the ports, for example 8840 or 8810-8815." : null;
  const wrong = fault !== null && !unfinished;
  const message = fault?.message ?? missing ?? error;
  const marked = fault === null ? null : markPlace(value, fault);
  const follow = () => {
    if (behind.current !== null && field.current !== null) behind.current.scrollLeft = field.current.scrollLeft;
  };
  const takeSuggestion = (suggestion: string) => {
    if (fault === null) return;
    onValue(mend(value, { ...fault, suggestion }));
    field.current?.focus();
  };
  return (
    <div className="field port-field">
      <label htmlFor={id}>{label}</label>
      <div className="port-input">
        <div className={unfinished ? "port-behind port-unfinished" : "port-behind"} ref={behind} aria-hidden="true">
          {marked === null ? (
            value
          ) : (
            <>
              {marked.before}
              <mark>{marked.place === "" ? " " : marked.place}</mark>
              {marked.after}
            </>
          )}
        </div>
        <input
          ref={field}
          id={id}
          value={value}
          placeholder={placeholder}
          autoComplete="off"
          autoCapitalize="off"
          autoCorrect="off"
          spellCheck={false}
          aria-describedby={`${id}-message`}
          aria-invalid={wrong || missing !== null || (fault === null && error !== null) || undefined}
          onChange={(event) => onValue(event.target.value)}
          onScroll={follow}
          onInput={follow}
          onFocus={() => setTyping(true)}
          onBlur={() => setTyping(false)}
        />
      </div>
      <div id={`${id}-message`} aria-live="polite">
        {message === null ? (
          <p className="hint">{hint}</p>
        ) : (
          <p className={unfinished ? "hint" : "error"}>
            {message}
            {marked !== null && wrong && marked.place.trim() !== "" ? (
              <>
                {" "}
                Here: <code className="place">{marked.place}</code>
              </>
            ) : null}
          </p>
        )}
      </div>
      {fault?.suggestion === undefined ? null : (
        <Button className="suggestion" onClick={() => takeSuggestion(fault.suggestion ?? "")}>
          Write <code>{fault.suggestion}</code> instead
        </Button>
      )}
    </div>
  );
}
