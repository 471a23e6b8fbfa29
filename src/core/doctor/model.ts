/** What is looked at, in this order. */
export const SECTIONS = ["machine", "data", "link", "forwards", "router", "gateway", "relay"] as const;
export type Section = (typeof SECTIONS)[number];

/** skipped: it does not apply to this machine, or something before it failed. */
export const CHECK_STATES = ["ok", "warning", "failure", "skipped"] as const;
export type CheckState = (typeof CHECK_STATES)[number];

/** What a check comes to. */
export interface Judgement {
  readonly state: CheckState;
  /** What is, in one sentence; of a skipped one, why. */
  readonly sentence: string;
  /** What to do; a line each where it is commands to copy. Null = nothing. With `ok`: worth doing all the same. */
  readonly remedy: string | null;
}

export interface Finding extends Judgement {
  /** Stable: `clock`. One of several of a kind has its name or number behind it: `forward:web`, `surroundings#2`. */
  readonly id: string;
  readonly section: Section;
}

/** One of several of a check. */
export interface NamedJudgement {
  readonly name: string;
  readonly judgement: Judgement;
}

/** What a check comes to: one thing, or several. */
export type Outcome = Judgement | readonly (Judgement | NamedJudgement)[];

/** The findings of a check: those with a name have it behind the check's id; of two with the same id the second has #2. */
export function findingsOf(id: string, section: Section, outcome: Outcome): Finding[] {
  const all = "state" in outcome ? [outcome] : outcome;
  const counts = new Map<string, number>();
  const unique = (wanted: string): string => {
    const count = (counts.get(wanted) ?? 0) + 1;
    counts.set(wanted, count);
    return count === 1 ? wanted : `${wanted}#${count}`;
  };
  return all.map((one) =>
    "judgement" in one
      ? { id: unique(`${id}:${one.name}`), section, ...one.judgement }
      : { id: unique(id), section, ...one },
  );
}

export type Worst = "ok" | "warning" | "failure";

export function fine(sentence: string, remedy: string | null = null): Judgement {
  return { state: "ok", sentence, remedy };
}

export function warning(sentence: string, remedy: string | null): Judgement {
  return { state: "warning", sentence, remedy };
}

export function failure(sentence: string, remedy: string | null): Judgement {
  return { state: "failure", sentence, remedy };
}

export function skipped(why: string): Judgement {
  return { state: "skipped", sentence: why, remedy: null };
}

export function worstOf(findings: readonly Judgement[]): Worst {
  if (findings.some(({ state }) => state === "failure")) return "failure";
  return findings.some(({ state }) => state === "warning") ? "warning" : "ok";
}

/** `2 problems, 1 warning.`, or that there is none. */
export function summaryOf(findings: readonly Judgement[]): string {
  const count = (state: CheckState) => findings.filter((one) => one.state === state).length;
  const parts = [countText(count("failure"), "problem"), countText(count("warning"), "warning")];
  const told = parts.filter((part) => part !== null);
  return told.length === 0 ? "Nothing is wrong." : `${told.join(", ")}.`;
}

function countText(count: number, what: string): string | null {
  return count === 0 ? null : `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** A message of another part as one sentence with a full stop. */
export function sentenceOf(message: string): string {
  const text = message.trim();
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/**
 * A message that says what is and, behind a colon or semicolon, what to do ("Others may read X: run chmod 600 on it."),
 * as the two. One that ends in no advice is all sentence.
 */
export function splitAdvice(message: string): { readonly sentence: string; readonly remedy: string | null } {
  for (const { 0: mark, index } of [...message.matchAll(/[:;] /g)].toReversed()) {
    const advice = message.slice(index + mark.length);
    if (ADVICE.test(advice)) return { sentence: `${message.slice(0, index)}.`, remedy: sentenceOf(capital(advice)) };
  }
  return { sentence: sentenceOf(message), remedy: null };
}

/** What advice begins with in this program's sentences. */
const ADVICE =
  /^(?:add|allow|ask|check|choose|close|delete|end|free|give|install|join|lead|let|look|make|move|name|open|put|raise|remove|renew|restart|run|see|set|start|stop|switch|try|turn|unset|update|use|wait|write)\b/;

export function capital(text: string): string {
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}`;
}
