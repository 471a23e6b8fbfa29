import pc from "picocolors";
import type { CheckState, Finding, Section } from "../core/doctor/model.ts";
import type { Io } from "./context.ts";
import { printable } from "./text.ts";

const TITLES: Readonly<Record<Section, string>> = {
  machine: "Machine",
  data: "Data directory",
  link: "Link to the relay",
  forwards: "Forwards",
  router: "Router",
  gateway: "Gateway of this machine",
  relay: "Relay of this machine",
};
const MARKS: Readonly<Record<CheckState, string>> = { ok: "✓", warning: "!", failure: "✗", skipped: "–" };
/** Right, and something can be done all the same. */
const NOTE_MARK = "•";
const CLEAR_LINE = "\r\u001b[2K";
/** `  ✓ public-address  `. */
const NAME_COLUMNS = 15;
const TEXT_AT = 2 + 1 + 1 + NAME_COLUMNS + 1;
/** Narrower than this nothing is gained by breaking lines. */
const MIN_TEXT_COLUMNS = 24;

export interface DoctorView {
  /** What is being looked at; on a terminal only. */
  checking(doing: string): void;
  found(finding: Finding): void;
  /** The line of `checking` goes. */
  clear(): void;
}

/** A line a check, under the heading of its section; below it what to do. Skipped ones only with `withSkipped`. */
export function doctorView(io: Pick<Io, "env" | "isTerminal" | "columns" | "out">, withSkipped: boolean): DoctorView {
  const colours = pc.createColors(io.isTerminal && !io.env["NO_COLOR"]);
  const paint: Readonly<Record<CheckState, (text: string) => string>> = {
    ok: colours.green,
    warning: colours.yellow,
    failure: colours.red,
    skipped: colours.dim,
  };
  let section: Section | null = null;
  let isChecking = false;
  const clear = () => {
    if (isChecking) io.out(CLEAR_LINE);
    isChecking = false;
  };
  // Off a terminal a line is a line, so that it can be searched.
  const width = io.isTerminal ? Math.max(io.columns - TEXT_AT, MIN_TEXT_COLUMNS) : Number.POSITIVE_INFINITY;
  return {
    clear,
    checking(doing) {
      if (!io.isTerminal) return;
      io.out(`${CLEAR_LINE}${colours.dim(`  ${doing} …`)}`);
      isChecking = true;
    },
    found(finding) {
      if (finding.state === "skipped" && !withSkipped) return;
      clear();
      if (finding.section !== section)
        io.out(`${section === null ? "" : "\n"}${colours.bold(TITLES[finding.section])}\n`);
      section = finding.section;
      const isNote = finding.state === "ok" && finding.remedy !== null;
      const mark = isNote ? colours.cyan(NOTE_MARK) : paint[finding.state](MARKS[finding.state]);
      const [first = "", ...rest] = wrapped(printable(finding.sentence), width);
      io.out(`  ${mark} ${padded(nameOf(finding))} ${first}\n`);
      for (const line of rest) io.out(`${" ".repeat(TEXT_AT)}${line}\n`);
      for (const line of remedyLines(finding.remedy, width)) io.out(`${" ".repeat(TEXT_AT)}${line}\n`);
    },
  };
}

/** `forward:web` is shown as web, and `surroundings#2` as surroundings: what it is of stands above it. */
function nameOf({ id }: Finding): string {
  const at = id.indexOf(":");
  const name = printable(at < 0 ? id.replace(/#\d+$/, "") : id.slice(at + 1));
  return Bun.stringWidth(name) <= NAME_COLUMNS ? name : `${[...name].slice(0, NAME_COLUMNS - 1).join("")}…`;
}

function padded(name: string): string {
  return name + " ".repeat(Math.max(0, NAME_COLUMNS - Bun.stringWidth(name)));
}

/** Behind an arrow; commands to copy stand on lines of their own, and are not broken. */
function remedyLines(remedy: string | null, width: number): string[] {
  if (remedy === null) return [];
  const lines = remedy.split("\n").map(printable);
  const [only = ""] = lines;
  if (lines.length > 1) return lines.map((line, index) => `${index === 0 ? "→" : " "} ${line}`);
  return wrapped(only, width - 2).map((line, index) => `${index === 0 ? "→" : " "} ${line}`);
}

/** Broken between words; a word that is longer than a line stays whole. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && Bun.stringWidth(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
