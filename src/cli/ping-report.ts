import pc from "picocolors";
import { LOSS_WORDS, type PingMeasure, type PingOutcome, type PingPath } from "../core/ping/model.ts";
import { plotLines } from "../core/ping/plot.ts";
import { mainLoss, type PingFigures, type PingSummary, summarize } from "../core/ping/series.ts";
import { type MeasuredPath, msText, verdictOf } from "../core/ping/verdict.ts";
import type { PingEvent } from "../roles/control.ts";
import type { Protocol } from "../wire/port-set.ts";
import type { Io } from "./context.ts";
import { formatTable, printable } from "./text.ts";

type Started = Extract<PingEvent, { event: "started" }>;
type Probe = Extract<PingEvent, { event: "probe" }>;

interface Path {
  readonly path: PingPath;
  readonly via: string;
  readonly to: string;
  readonly measure: PingMeasure;
  /** By the number of the probe: answers come in any order. */
  readonly probes: Map<number, Probe>;
}

/** What came of a measurement so far. */
export class PingReport {
  readonly protocol: Protocol;
  readonly #paths: readonly Path[];

  constructor({ protocol, paths }: Started) {
    this.protocol = protocol;
    this.#paths = paths.map((path) => ({ ...path, probes: new Map<number, Probe>() }));
  }

  add(probe: Probe): void {
    this.#paths.find(({ path }) => path === probe.path)?.probes.set(probe.seq, probe);
  }

  /** In the order of sending. */
  #outcomes({ probes }: Path): PingOutcome[] {
    const inOrder = [...probes.values()].toSorted((a, b) => a.seq - b.seq);
    return inOrder.map(({ ms, lost }) => (ms === null ? { lost: lost ?? "timeout" } : { ms }));
  }

  #summary(path: Path): PingSummary {
    return summarize(this.#outcomes(path));
  }

  #measured(name: PingPath): MeasuredPath | null {
    const path = this.#paths.find((one) => one.path === name);
    return path === undefined ? null : { summary: this.#summary(path), measure: path.measure };
  }

  get #verdict() {
    return verdictOf(this.#measured("direct"), this.#measured("forwarded"));
  }

  /** The paths of which every probe was lost, and why mostly. */
  get dead(): { readonly path: PingPath; readonly to: string; readonly why: string }[] {
    return this.#paths.flatMap((path) => {
      const summary = this.#summary(path);
      const loss = summary.figures === null ? mainLoss(summary) : null;
      return loss === null ? [] : [{ path: path.path, to: path.to, why: LOSS_WORDS[loss] }];
    });
  }

  get isEmpty(): boolean {
    return this.#paths.every(({ probes }) => probes.size === 0);
  }

  /** `12 of 20 probes: direct 1.10 ms, forwarded 21.3 ms`. */
  progress(count: number): string {
    const done = this.#paths.reduce((sum, { probes }) => sum + probes.size, 0);
    const latest = this.#paths.flatMap((path) => {
      const last = this.#outcomes(path).at(-1);
      if (last === undefined) return [];
      return [`${path.path} ${"ms" in last ? msText(last.ms) : LOSS_WORDS[last.lost]}`];
    });
    return `${done} of ${count * this.#paths.length} probes: ${latest.join(", ")}`;
  }

  /** The last line of --json. */
  summaryLine(target: string): string {
    const { addedMs, character, text } = this.#verdict;
    const paths = this.#paths.map((path) => {
      const { sent, lost, losses, figures } = this.#summary(path);
      const { via, to, measure } = path;
      return { path: path.path, via, to, measure, sent, lost, losses, ...roundedFigures(figures) };
    });
    const verdict = { addedMs: rounded(addedMs), character, verdict: text };
    return JSON.stringify({ event: "summary", v: 1, target, protocol: this.protocol, paths, ...verdict });
  }

  /** For people: plot, table, what was measured, verdict. */
  text(target: string, io: Pick<Io, "env" | "isTerminal" | "columns">): string {
    const colours = pc.createColors(io.isTerminal && !io.env["NO_COLOR"]);
    const series = this.#paths.map((path) => {
      return { label: path.path, points: this.#outcomes(path).map((one) => ("ms" in one ? one.ms : null)) };
    });
    const paint = (number: number, text: string) => {
      return series[number]?.label === "direct" ? colours.cyan(text) : colours.yellow(text);
    };
    const plot = plotLines(series, { columns: io.columns, unicode: io.isTerminal && isUtf8(io.env), paint });
    const sentences = [this.#measureText(), this.#verdict.text];
    // Off a terminal a line is a sentence, for whoever searches in it.
    const lines = io.isTerminal ? sentences.flatMap((one) => wrapped(one, io.columns)) : sentences;
    return [this.#title(target), plot.join("\n"), this.#table(io.columns), lines.join("\n")]
      .filter((block) => block !== "")
      .join("\n\n");
  }

  #title(target: string): string {
    const ways = this.#paths.map(({ path, via }) => (path === "direct" ? "direct" : viaText(via)));
    return printable(`${target}: ${ways.join(", and ")}`);
  }

  #table(columns: number): string {
    const cells = this.#paths.map((path) => {
      const { sent, lost, figures } = this.#summary(path);
      const values = FIGURES.map(({ key }) => numberText(figures?.[key] ?? null));
      return [path.path, `${sent}`, `${lost}`, ...values];
    });
    const names = ["sent", "lost", ...FIGURES.map(({ name }) => name)];
    const wide = formatTable(["ms", ...names.map((name) => name.toUpperCase())], cells);
    if (wide.split("\n").every((line) => line.length < columns)) return wide;
    const [head = [], ...rest] = ["ms", ...names].map((name, at) => [name, ...cells.map((row) => row[at] ?? "")]);
    return formatTable(head, rest);
  }

  #measureText(): string {
    const measures = this.#paths.map(({ measure }) => measure);
    return measureText(measures.includes("accept") ? "accept" : (measures[0] ?? "connect"), this.protocol);
  }
}

const FIGURES: readonly { readonly name: string; readonly key: keyof PingFigures }[] = [
  { name: "min", key: "minMs" },
  { name: "median", key: "medianMs" },
  { name: "mean", key: "meanMs" },
  { name: "p90", key: "p90Ms" },
  { name: "p99", key: "p99Ms" },
  { name: "max", key: "maxMs" },
  { name: "jitter", key: "jitterMs" },
];

function measureText(measure: PingMeasure, protocol: Protocol): string {
  switch (measure) {
    case "connect":
      return "Each figure is one round trip: until a connection to the service was open.";
    case "answer":
      return protocol === "udp"
        ? "Each figure is one round trip: from a datagram until the service's answer to it."
        : "Each figure is one round trip: from the payload until the first byte of the service's answer.";
    case "sign":
      return "Each figure is one round trip: from the open connection until the service spoke or closed it.";
    case "accept":
      return "The service neither speaks first nor closes, so the forwarded figure ends where the entry accepts, before the service is reached. Give a --payload that the service answers to measure all of the way.";
    default:
      return measure satisfies never;
  }
}

function viaText(via: string): string {
  return via === "entry" ? "through its entry" : `via ${via}`;
}

function numberText(ms: number | null): string {
  return ms === null ? "-" : msText(ms).replace(/ ms$/, "");
}

function roundedFigures(figures: PingFigures | null): Record<string, number | null> {
  return Object.fromEntries(FIGURES.map(({ key }) => [key, rounded(figures?.[key] ?? null)]));
}

/** Microseconds: what the clock is worth. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1_000) / 1_000;
}

/** As setlocale(3) chooses the character set. */
function isUtf8(env: Io["env"]): boolean {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  return /utf-?8/i.test(locale);
}

/** At spaces, so that no line is as wide as the terminal. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length < columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
