import type { Finding } from "./model.ts";
import { summaryOf } from "./model.ts";
import { redactConfig } from "./redact/config.ts";
import type { Known } from "./redact/text.ts";
import { TextRedactor } from "./redact/text.ts";
import { redactValue, type Treatment } from "./redact/value.ts";

/** What is gathered for a report, as it was found: nobody sees it so. */
export interface RawReport {
  readonly madeMs: number;
  readonly program: Readonly<Record<string, string | number>>;
  /** Of the machine: kernel, distribution, memory. */
  readonly system: Readonly<Record<string, string | number>>;
  readonly findings: readonly Finding[];
  /** Names, sizes and modes in the data directory. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly mode: string }[];
  /** As the running roles tell; null = it does not run, or cannot be asked. */
  readonly relay: unknown;
  readonly agent: unknown;
  readonly gateway: unknown;
  readonly forwards: readonly unknown[];
  readonly devices: readonly unknown[];
  /** As TOML; a sentence when it is none; null = there is no file. */
  readonly config: Readonly<Record<string, unknown>> | string | null;
  /** Null = it was not asked. */
  readonly router: unknown;
  /** What last happened to the gateway's forwards. */
  readonly events: readonly unknown[];
  /** The last lines that the roles logged. */
  readonly log: readonly string[];
}

/** The same, for strangers' eyes: plain JSON, in the order in which it is shown. */
export interface Report {
  readonly v: 1;
  readonly kind: "hatchway-report";
  readonly sections: Readonly<Record<string, unknown>>;
}

const NOTE =
  "Left out: keys, join codes, passwords, tokens. Replaced by word-N, the same for the same: public addresses, host names, device, forward and other names, keys' fingerprints, paths. Private IPv4 addresses are as they were.";

/** Takes out what is nobody else's business. */
export function redactReport(raw: RawReport, known: Known): Report {
  const text = new TextRedactor(known);
  const value = (one: unknown, name: Treatment) => redactValue(text, one, name);
  const { config } = raw;
  return {
    v: 1,
    kind: "hatchway-report",
    sections: {
      made: new Date(raw.madeMs).toISOString(),
      note: NOTE,
      program: value(raw.program, "text"),
      system: value(raw.system, "text"),
      summary: summaryOf(raw.findings),
      checks: raw.findings.map(({ id, section, state, sentence, remedy }) => ({
        id: text.redact(id),
        section,
        state,
        sentence: redactSentence(text, sentence, id === "config"),
        remedy: remedy === null ? null : redactSentence(text, remedy, id === "config"),
      })),
      files: raw.files.map(({ name, bytes, mode }) => ({
        name: ownFile(name) ? name : text.name("path", name),
        bytes,
        mode,
      })),
      relay: value(raw.relay, "device"),
      agent: value(raw.agent, "device"),
      gateway: value(raw.gateway, "text"),
      forwards: value(raw.forwards, "forward"),
      devices: value(raw.devices, "device"),
      config: config === null || typeof config === "string" ? config : redactConfig(text, config),
      router: value(raw.router, "hidden"),
      events: value(raw.events, "forward"),
      log: raw.log.map((line) => text.redact(line)),
    },
  };
}

/** What a config file's mistake quotes is what a person wrote there, a password perhaps. */
function redactSentence(text: TextRedactor, sentence: string, hidesQuoted: boolean): string {
  return text.redact(
    hidesQuoted ? sentence.replace(/"[^"]*"?|'[^']*'?/g, '"…"').replace(/`(?!hatchway)[^`]*`?/g, "`…`") : sentence,
  );
}

const OWN_FILE =
  /^(?:hatchway\.(?:db|toml)(?:-wal|-shm)?|(?:relay|device)-(?:key|cert)\.pem|agent\.json|(?:relay|agent|gateway)\.sock(?:\.lock(?:-journal)?)?|privileged)$/;

function ownFile(name: string): boolean {
  return OWN_FILE.test(name);
}

/** For people: a heading and indented lines for each section. */
export function reportText({ sections }: Report): string {
  const blocks = Object.entries(sections).map(([name, value]) => {
    const lines = name === "checks" ? checkLines(value) : linesOf(value);
    return [`== ${name}`, ...(lines.length === 0 ? ["(none)"] : lines)].join("\n");
  });
  return `Hatchway report\n\n${blocks.join("\n\n")}\n`;
}

function checkLines(value: unknown): string[] {
  return (value as readonly Finding[]).flatMap(({ id, section, state, sentence, remedy }) => [
    `${state.padEnd("skipped".length)}  ${section}/${id}: ${sentence}`,
    ...(remedy === null ? [] : remedy.split("\n").map((line) => `           → ${line}`)),
  ]);
}

function linesOf(value: unknown): string[] {
  if (value === null) return [];
  if (typeof value === "string") return value.split("\n");
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  if (Array.isArray(value)) return value.map((item) => JSON.stringify(item));
  return JSON.stringify(value, null, 2).split("\n");
}
