import pc from "picocolors";
import { same } from "../core/same.ts";
import type { AttachEvent, Counters, ExposeEvent, WayEvent } from "../roles/control.ts";
import type { Io } from "./context.ts";
import { asSentence, endpointTexts, formatBytes, formatMs, formatRefused, printable, routerText } from "./text.ts";

const CLEAR_LINE = "\r\u001b[2K";
const MAX_SHOWN = 20;
/** What a box takes beside its text. */
const BOX_COLUMNS = 4;

type Counted = Extract<AttachEvent, { event: "counters" }>;
type Exposed = Extract<AttachEvent, { event: "exposed" }>;

export interface ForegroundView {
  show(event: ExposeEvent): void;
  close(): void;
}

/**
 * The foreground commands' face, of `count` forwards. On a terminal: the addresses in a box and one line of counters that is written over
 * and over. Elsewhere: a line an address, no counters, no cursor movement.
 */
export function foregroundView(
  io: Pick<Io, "env" | "isTerminal" | "columns" | "out" | "err">,
  count: number,
): ForegroundView {
  const colours = pc.createColors(io.isTerminal && !io.env["NO_COLOR"]);
  let last: Counted | null = null;
  let hasStatusLine = false;
  const opened = new Map<string, Exposed>();
  /** The reason that was told last; null = the link is up, as far as was told. A relay that is away is told once. */
  let toldDown: string | null = null;
  const clear = () => {
    if (hasStatusLine) io.out(CLEAR_LINE);
    hasStatusLine = false;
  };
  const status = (line: string) => {
    io.out(`${CLEAR_LINE}${line}`);
    hasStatusLine = true;
  };
  return {
    show(event) {
      switch (event.event) {
        case "exposed": {
          const before = opened.get(event.id);
          opened.set(event.id, event);
          // A lease that was renewed: the line of counters shows it.
          if (before !== undefined && same(before.endpoints, event.endpoints) && before.note === event.note) return;
          const lines = endpointTexts(event.endpoints).map(({ entry, exit }) => `${entry} → ${exit}`);
          const more = lines.length - MAX_SHOWN;
          const shown = more > 0 ? [...lines.slice(0, MAX_SHOWN), `and ${more} more`] : lines;
          clear();
          const plain = `${(io.isTerminal ? shown : lines).map(printable).join("\n")}\n`;
          io.out((io.isTerminal ? box(shown.map(printable), io.columns, colours.green) : null) ?? plain);
          if (event.note != null) io.err(`${colours.yellow("Note")}: ${printable(asSentence(event.note))}\n`);
          if (io.isTerminal && before === undefined && opened.size === count) {
            io.out(`${colours.dim(`Ctrl-C closes ${count === 1 ? "it" : "them"}.`)}\n`);
          }
          return;
        }
        case "counters":
          if (io.isTerminal)
            status(clip(leaseLine([...opened.values()], event.atMs) ?? counterLine(event, last), io.columns));
          last = event;
          return;
        case "down":
          if (toldDown === event.message) return;
          toldDown = event.message;
          clear();
          io.err(`${colours.yellow("The link to the relay is down")}: ${printable(asSentence(event.message))}\n`);
          return;
        case "up":
          if (toldDown === null) return;
          toldDown = null;
          clear();
          io.err(`${colours.green("The link to the relay is up again")}.\n`);
          return;
        case "lost":
          opened.delete(event.id);
          clear();
          io.err(`${colours.yellow("Not open any more, asking again")}: ${printable(asSentence(event.message))}\n`);
          return;
        case "way":
          clear();
          io.err(`${wayText(event, colours)}\n`);
          return;
        case "refused":
          return;
        default:
          return event satisfies never;
      }
    },
    close: () => {
      if (hasStatusLine) io.out("\nClosed.\n");
      hasStatusLine = false;
    },
  };
}

const WAY_NAMES: Readonly<Record<WayEvent["via"], string>> = {
  router: "your router",
  vpn: "the gateway of the VPN",
  relay: "the relay",
};

function wayText({ via, state, message }: WayEvent, colours: ReturnType<typeof pc.createColors>): string {
  const text = printable(asSentence(message));
  switch (state) {
    case "trying":
      return text;
    case "left":
      return `${colours.yellow(`Not by ${WAY_NAMES[via]}`)}: ${text}`;
    case "taken":
      return `${colours.green(`By ${WAY_NAMES[via]}`)}: ${text}`;
    default:
      return state satisfies never;
  }
}

/** Of mappings of a router: their visitors never pass here. Null when there are none. */
function leaseLine(opened: readonly Exposed[], nowMs: number): string | null {
  const routers = opened.flatMap(({ router }) => (router === undefined ? [] : [router]));
  const [router] = routers;
  if (router === undefined || routers.length < opened.length) return null;
  const ends = opened.flatMap(({ leaseEndsMs }) => (leaseEndsMs == null ? [] : [leaseEndsMs]));
  const lease =
    ends.length === 0 ? "until it is removed" : `lease ${countdown(Math.min(...ends) - nowMs)}, renewed by itself`;
  return `${routerText(router)} · ${lease}`;
}

function countdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1_000));
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3_600 ? clock : `${Math.floor(seconds / 3_600)}:${clock}`;
}

function counterLine(event: Counted, last: Counted | null): string {
  const now = sum(event);
  const before = last === null ? null : sum(last);
  const seconds = last === null ? 0 : (event.atMs - last.atMs) / 1_000;
  const rate = (to: number, from: number) => (seconds > 0 ? Math.max(0, to - from) / seconds : 0);
  const inRate = before === null ? 0 : rate(now.bytesIn, before.bytesIn);
  const outRate = before === null ? 0 : rate(now.bytesOut, before.bytesOut);
  const [answer] = event.forwards.flatMap((forward) => (forward.answerMs === null ? [] : [forward.answerMs]));
  const refused = formatRefused(refusedSum(event));
  return [
    `visitors ${now.open} (${now.total} in all)`,
    `in ${formatBytes(now.bytesIn)}, ${formatBytes(inRate)}/s`,
    `out ${formatBytes(now.bytesOut)}, ${formatBytes(outRate)}/s`,
    ...(answer === undefined ? [] : [`answer p50 ${formatMs(answer.p50)}, p90 ${formatMs(answer.p90)}`]),
    ...(event.rttMs === null ? [] : [`relay ${formatMs(event.rttMs)}`]),
    ...(refused === "" ? [] : [refused]),
  ].join(" · ");
}

function sum(event: Counted) {
  const total = { open: 0, total: 0, bytesIn: 0, bytesOut: 0 };
  for (const forward of event.forwards) {
    total.open += forward.visitorsOpen;
    total.total += forward.visitorsTotal;
    total.bytesIn += forward.bytesIn;
    total.bytesOut += forward.bytesOut;
  }
  return total;
}

function refusedSum(event: Counted): Counters["refused"] {
  const total = new Map<string, number>();
  for (const { refused } of event.forwards) {
    for (const [reason, count] of Object.entries(refused)) total.set(reason, (total.get(reason) ?? 0) + count);
  }
  return Object.fromEntries(total);
}

/** A line that wraps could not be written over. */
function clip(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}

/** Null when the terminal is too narrow for it. */
function box(lines: readonly string[], columns: number, colour: (text: string) => string): string | null {
  const width = Math.max(...lines.map((line) => Bun.stringWidth(line)));
  if (width + BOX_COLUMNS > columns) return null;
  const edge = "─".repeat(width + 2);
  const rows = lines.map((line) => `${colour("│")} ${line}${" ".repeat(width - Bun.stringWidth(line))} ${colour("│")}`);
  return `${[colour(`┌${edge}┐`), ...rows, colour(`└${edge}┘`)].join("\n")}\n`;
}
