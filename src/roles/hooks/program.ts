import { fillTemplates, hookVariables } from "../../core/hooks.ts";
import { hideSecrets } from "../../os/log-redaction.ts";
import { type ProgramEnd, type ProgramOutput, runProgram } from "../../os/run-program.ts";
import type { Deliver, DeliveryTools } from "./deliver.ts";
import type { ProgramHook } from "./settings.ts";

const MAX_LINES = 20;
const MAX_LINE_CHARS = 300;
const MS_PER_SEC = 1_000;

/** Runs the hook's program for an event, with a clean environment. */
export function programDelivery(hook: ProgramHook, { after, path, vpnInterface }: DeliveryTools): Deliver {
  return async ({ event, missed }, report, signal) => {
    const end = await runProgram({
      argv: fillTemplates(hook.argv, event.forward, vpnInterface),
      environment: { PATH: path, ...hookVariables(event, { vpnInterface, missed }) },
      timeoutMs: hook.timeoutMs,
      after,
      signal,
    });
    const problem = problemOf(end, hook.timeoutMs);
    if (problem !== null) report.failing(problem);
    if (end.kind !== "notStarted") for (const line of linesOf(end.output)) report.wrote(line);
    return problem === null;
  };
}

function problemOf(end: ProgramEnd, timeoutMs: number): string | null {
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? null : `The program ended with code ${end.code}.`;
    case "killed":
      return `The program was ended by ${end.signal}.`;
    case "timedOut":
      return `The program was ended: it ran longer than ${timeoutMs / MS_PER_SEC} s.`;
    case "stopped":
      return "The program was ended: Hatchway stops.";
    case "notStarted":
      return end.message;
    default:
      return end satisfies never;
  }
}

/** Secrets are hidden before the text is cut: a key of several lines is known by its first and last. */
function linesOf({ text, droppedBytes }: ProgramOutput): string[] {
  const lines = String(hideSecrets(text))
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "");
  const shown = lines
    .slice(0, MAX_LINES)
    .map((line) => (line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)}…` : line));
  if (lines.length > MAX_LINES || droppedBytes > 0) shown.push("(it wrote more, which is left out)");
  return shown;
}
