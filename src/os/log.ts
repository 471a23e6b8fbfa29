import { configure, getLogger, type Logger, type LogLevel, type LogRecord, reset } from "@logtape/logtape";
import { hideSecrets } from "./log-redaction.ts";

export type { Logger, LogLevel };

/** human: one readable line. json: one object a line: time, level, area, message, fields. */
export type LogFormat = "human" | "json";

export interface LogOptions {
  readonly format: LogFormat;
  /** The least level that is written. */
  readonly level: LogLevel;
  /** Absent: standard error. Standard output belongs to what a command answers. */
  readonly write?: (line: string) => void;
}

const ROOT = "hatchway";
const LEVEL_COLUMNS = "warning".length;

/** The logger of one area (`relay`, `store`). Before `startLog` it is silent, as in tests. */
export function areaLogger(area: string): Logger {
  return getLogger([ROOT, area]);
}

/** Sets up logging for the process; main does it once. The result ends it. */
export async function startLog(options: LogOptions): Promise<() => Promise<void>> {
  const write = options.write ?? ((line) => process.stderr.write(line));
  const render = options.format === "json" ? renderJson : renderHuman;
  await configure({
    reset: true,
    sinks: { lines: (record) => write(`${render(record)}\n`) },
    loggers: [
      { category: ROOT, sinks: ["lines"], lowestLevel: options.level },
      // The library's reports about itself: only when something is wrong with logging.
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
  return reset;
}

/** `2026-01-01T00:00:00.000Z info    relay: device connected device=web1`. */
export function renderHuman(record: LogRecord): string {
  const fields = Object.entries(fieldsOf(record)).map(([name, value]) => ` ${name}=${quoted(value)}`);
  const level = record.level.padEnd(LEVEL_COLUMNS);
  return `${timeOf(record)} ${level} ${areaOf(record)}: ${oneLine(messageOf(record))}${fields.join("")}`;
}

/** The same as one JSON object. */
export function renderJson(record: LogRecord): string {
  return JSON.stringify({
    time: timeOf(record),
    level: record.level,
    area: areaOf(record),
    message: messageOf(record),
    fields: fieldsOf(record),
  });
}

/** What people are told beside the log, as a line of it. `nowMs`: Unix time. */
export function sentenceAsJson(sentence: string, level: LogLevel, nowMs: number): string {
  const category = [ROOT];
  return renderJson({ category, level, message: [sentence], rawMessage: sentence, properties: {}, timestamp: nowMs });
}

function timeOf(record: LogRecord): string {
  return new Date(record.timestamp).toISOString();
}

function areaOf(record: LogRecord): string {
  return record.category.filter((part) => part !== ROOT).join(".") || ROOT;
}

/** LogTape gives literal text and values in turn: text at the even places. */
function messageOf(record: LogRecord): string {
  return record.message
    .map((part) => hideSecrets(part))
    .map((part) => (typeof part === "string" ? part : JSON.stringify(part)))
    .join("");
}

function fieldsOf(record: LogRecord): Record<string, unknown> {
  return hideSecrets(record.properties) as Record<string, unknown>;
}

const PLAIN_WORD = /^[\w.:/@%+*,[\]-]+$/;

function quoted(value: unknown): string {
  return typeof value === "string" && PLAIN_WORD.test(value) ? value : oneLine(JSON.stringify(value));
}

/** What a visitor sent may be in a message: it must not forge a line, move a terminal's cursor or turn text around. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
