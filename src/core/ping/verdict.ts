import { LOSS_WORDS, type PingMeasure } from "./model.ts";
import { mainLoss, type PingFigures, type PingSummary } from "./series.ts";

/** lossy: a probe was lost. jittery: see `JITTERY`. steady: neither. dead: nothing was answered. */
export type PingCharacter = "steady" | "jittery" | "lossy" | "dead";

export interface MeasuredPath {
  readonly summary: PingSummary;
  readonly measure: PingMeasure;
}

export interface PingVerdict {
  /**
   * The forwarded path's median less the direct one's, milliseconds; null when there are not both, and when the
   * forwarded figure ends before the service (`accept`).
   */
  readonly addedMs: number | null;
  /** Of the forwarded path, or of the only one. */
  readonly character: PingCharacter;
  /** For a person: one sentence, or two. */
  readonly text: string;
}

/**
 * Successive probes that differ by this share of the median, and by as much time, are noticed: a call or a game can
 * no longer wait for the latest and forget it.
 */
const JITTERY = { share: 0.15, ms: 2 } as const;
/** Below, a difference is nothing: this process alone needs as long. */
const NOTHING_MS = 0.05;

/** What the figures mean. A path that was not asked for is null; one of them is there. */
export function verdictOf(direct: MeasuredPath | null, forwarded: MeasuredPath | null): PingVerdict {
  const subject = forwarded ?? direct;
  const character = subject === null ? "dead" : characterOf(subject.summary);
  const [there, here] = [direct?.summary.figures ?? null, forwarded?.summary.figures ?? null];
  const addedMs =
    there !== null && here !== null && forwarded?.measure !== "accept" ? here.medianMs - there.medianMs : null;
  return { addedMs, character, text: sentences(direct, forwarded, addedMs) };
}

function sentences(direct: MeasuredPath | null, forwarded: MeasuredPath | null, addedMs: number | null): string {
  const dead = [
    ...(direct?.summary.figures === null ? [`The direct path did not answer${whyText(direct.summary)}.`] : []),
    ...(forwarded?.summary.figures === null ? [`The forwarded path did not answer${whyText(forwarded.summary)}.`] : []),
  ];
  const figures = forwarded?.summary.figures ?? null;
  if (forwarded !== null && figures !== null && addedMs !== null) {
    return [...dead, `The forwarded path ${addedText(addedMs)}; it is ${characterText(forwarded.summary)}.`].join(" ");
  }
  const alive = [
    ...(forwarded !== null && figures !== null ? [alone(forwarded, figures, "forwarded")] : []),
    ...(direct !== null && direct.summary.figures !== null && figures === null
      ? [alone(direct, direct.summary.figures, "direct")]
      : []),
  ];
  return [...dead, ...alive].join(" ");
}

function alone({ summary, measure }: MeasuredPath, { medianMs }: PingFigures, path: "direct" | "forwarded"): string {
  if (measure === "accept") {
    return `The entry accepts after ${msText(medianMs)} (median); how long the service behind it takes was not seen.`;
  }
  return `The ${path} path takes ${msText(medianMs)} (median); it is ${characterText(summary)}.`;
}

function addedText(addedMs: number): string {
  if (addedMs >= NOTHING_MS) return `adds ${msText(addedMs)} (median)`;
  if (addedMs <= -NOTHING_MS) return `is ${msText(-addedMs)} faster than the direct one (median)`;
  return "takes as long as the direct one";
}

export function characterOf({ lost, figures }: PingSummary): PingCharacter {
  if (figures === null) return "dead";
  if (lost > 0) return "lossy";
  const { jitterMs, medianMs } = figures;
  const isJittery = jitterMs !== null && jitterMs > Math.max(JITTERY.ms, medianMs * JITTERY.share);
  return isJittery ? "jittery" : "steady";
}

function characterText(summary: PingSummary): string {
  const character = characterOf(summary);
  switch (character) {
    case "steady":
    case "dead":
      return character;
    case "jittery":
      return `jittery (${msText(summary.figures?.jitterMs ?? 0)} from one probe to the next)`;
    case "lossy":
      return `lossy (${summary.lost} of ${summary.sent} lost${whyText(summary, ": ", "")})`;
    default:
      return character satisfies never;
  }
}

/** ` (connection refused)`; empty when none was lost. */
function whyText(summary: PingSummary, before = " (", behind = ")"): string {
  const loss = mainLoss(summary);
  return loss === null ? "" : `${before}${LOSS_WORDS[loss]}${behind}`;
}

/** `0.34 ms`, `20.3 ms`, `1250 ms`: three digits, as many as the clock of this process is worth. */
export function msText(ms: number): string {
  const decimals = ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0;
  return `${ms.toFixed(decimals)} ms`;
}
