import { explainItem, ITEM } from "./port-set-hints.ts";
import { err, ok, type Result } from "./result.ts";
import type { TextError } from "./text-error.ts";

export type Protocol = "tcp" | "udp";

/** A run of ports as written. `protocol` null = not said in the text: the command's `--protocol` decides. */
export interface PortRange {
  readonly protocol: Protocol | null;
  /** External, inclusive. */
  readonly first: number;
  readonly last: number;
  /** The internal port that `first` maps to; `first + n` maps to `internalFirst + n`. */
  readonly internalFirst: number;
}

/** What a person wrote, checked, sorted and merged: no overlap within one protocol. */
export interface PortSet {
  readonly ranges: readonly PortRange[];
}

/** A range whose protocol is settled. */
export interface PortMapping {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
  readonly internalFirst: number;
}

/** `message` is one clear sentence; `offset`/`length` point into the text; `suggestion` is the faulty item mended. */
export type PortSetError = TextError;

const MIN_PORT = 1;
const MAX_PORT = 65535;
/** Longer than every useful list; keeps a hostile text from costing memory. */
const MAX_TEXT_CHARS = 16_384;
const PROTOCOL_ORDER = { any: 0, tcp: 1, udp: 2 } as const;

/** A number as it stands in the text. */
interface Numeral {
  readonly value: number;
  readonly offset: number;
  readonly length: number;
}

/** An item between separators, as it stands in the text. */
interface Item {
  readonly text: string;
  readonly offset: number;
}

interface PlacedRange extends PortRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Items separated by commas or white space: `8840`, `8810-8815`, `80/tcp`, `53/tcp+udp`, `8000:80` (external:internal),
 * `8000-8010:9000-9010` or `8000-8010:9000` (as many ports from 9000 on), each with an optional protocol.
 */
export function parsePortSet(text: string): Result<PortSet, PortSetError> {
  if (text.length > MAX_TEXT_CHARS) {
    const message = `Write at most ${MAX_TEXT_CHARS} characters; use ranges like 8810-8815.`;
    return err(fault(message, MAX_TEXT_CHARS, text.length - MAX_TEXT_CHARS));
  }
  const items = splitItems(text);
  if (!items.ok) return items;
  const placed: PlacedRange[] = [];
  for (const [index, item] of items.value.entries()) {
    const match = ITEM.exec(item.text);
    if (match === null) return err(explainSpaces(text, items.value, index) ?? explainItem(item.text, item.offset));
    const range = readItem(item, match);
    if (!range.ok) return range;
    placed.push(...range.value);
  }
  const conflict = findConflict(placed);
  return conflict === null ? ok({ ranges: mergeRanges(placed) }) : err(conflict);
}

function fault(message: string, offset: number, length: number, suggestion?: string): PortSetError {
  return suggestion === undefined ? { message, offset, length } : { message, offset, length, suggestion };
}

function splitItems(text: string): Result<readonly Item[], PortSetError> {
  const items: Item[] = [];
  let awaiting = true; // an item must come before the next comma
  let lastComma = -1;
  for (const match of text.matchAll(/,|[^,\s]+/g)) {
    if (match[0] !== ",") {
      items.push({ text: match[0], offset: match.index });
      awaiting = false;
      continue;
    }
    if (awaiting) return err(fault("Remove the extra comma.", match.index, 1));
    awaiting = true;
    lastComma = match.index;
  }
  if (items.length === 0) return err(fault("Write at least one port, for example 8840 or 8810-8815.", 0, text.length));
  if (awaiting) return err(fault("Remove the extra comma.", lastComma, 1));
  return ok(items);
}

/** `8810 - 8815`: white space separates items, so the operator stands alone. Null when that is not what happened. */
function explainSpaces(text: string, items: readonly Item[], index: number): PortSetError | null {
  let from = index;
  let to = index;
  if (/^[-:/]/.test(items[index]?.text ?? "")) from--;
  if (/[-:/]$/.test(items[index]?.text ?? "")) to++;
  const first = items[from];
  const last = items[to];
  if (first === undefined || last === undefined || from === to) return null;
  const end = last.offset + last.text.length;
  const written = text.slice(first.offset, end);
  const joined = written.replace(/\s+/g, "");
  if (!ITEM.test(joined)) return null;
  return fault("Write this without spaces.", first.offset, written.length, joined);
}

function readItem(item: Item, match: RegExpExecArray): Result<PlacedRange[], PortSetError> {
  const numerals: Numeral[] = [];
  for (const numeral of item.text.matchAll(/[0-9]+/g)) {
    const offset = item.offset + numeral.index;
    const value = Number(numeral[0]);
    const problem = numeralProblem(item, numeral[0], numeral.index, value);
    if (problem !== null) return err(problem);
    numerals.push({ value, offset, length: numeral[0].length });
  }
  const [, , lastText, internalText, internalLastText, protocolText] = match;
  const suffix = protocolText === undefined ? "" : `/${protocolText.toLowerCase()}`;
  const take = (present: string | undefined): number | null =>
    present === undefined ? null : (numerals.shift()?.value ?? null);
  const first = numerals.shift()?.value ?? 0;
  const last = take(lastText) ?? first;
  const internalFirst = take(internalText) ?? first;
  const internalLast = take(internalLastText);
  const whole = (message: string, suggestion?: string) =>
    err(fault(message, item.offset, item.text.length, suggestion === undefined ? undefined : suggestion + suffix));

  const external = rangeText(Math.min(first, last), Math.max(first, last));
  const internal = rangeText(
    Math.min(internalFirst, internalLast ?? internalFirst),
    Math.max(internalFirst, internalLast ?? internalFirst),
  );
  if (last < first || (internalLast !== null && internalLast < internalFirst)) {
    return whole("Write the lower port first.", internalText === undefined ? external : `${external}:${internal}`);
  }
  const endsAt = internalFirst + (last - first);
  const sameLength = `${external}:${rangeText(internalFirst, endsAt)}`;
  if (internalLast !== null && internalLast !== endsAt) {
    const suggestion = first < last && endsAt <= MAX_PORT ? sameLength : undefined;
    return whole("Give both ranges the same number of ports.", suggestion);
  }
  if (endsAt > MAX_PORT) {
    return whole(`The internal ports would end at ${endsAt}; ports end at ${MAX_PORT}.`);
  }
  return ok(
    protocolsOf(protocolText).map((protocol) => ({
      protocol,
      first,
      last,
      internalFirst,
      offset: item.offset,
      length: item.text.length,
    })),
  );
}

function numeralProblem(item: Item, digits: string, at: number, value: number): PortSetError | null {
  const offset = item.offset + at;
  const replaced = (by: string) => item.text.slice(0, at) + by + item.text.slice(at + digits.length);
  if (value < MIN_PORT) return fault(`Ports begin at ${MIN_PORT}.`, offset, digits.length);
  if (value > MAX_PORT) {
    const endOfRange = item.text[at - 1] === "-";
    const suggestion = endOfRange ? replaced(String(MAX_PORT)) : undefined;
    return fault(`Ports end at ${MAX_PORT}.`, offset, digits.length, suggestion);
  }
  if (digits.startsWith("0")) {
    return fault("Write the port without leading zeros.", offset, digits.length, replaced(String(value)));
  }
  return null;
}

function protocolsOf(text: string | undefined): readonly (Protocol | null)[] {
  switch (text?.toLowerCase()) {
    case undefined:
      return [null];
    case "tcp":
      return ["tcp"];
    case "udp":
      return ["udp"];
    default:
      return ["tcp", "udp"];
  }
}

function byFirst(a: PortRange, b: PortRange): number {
  return a.first - b.first || order(a.protocol) - order(b.protocol);
}

function order(protocol: Protocol | null): number {
  return PROTOCOL_ORDER[protocol ?? "any"];
}

/** Two items that send one port to different places. An item without protocol may settle as either, so it counts for both. */
function findConflict(placed: readonly PlacedRange[]): PortSetError | null {
  const sorted = placed.toSorted(byFirst);
  for (const protocol of ["tcp", "udp"] as const) {
    let reach: PlacedRange | null = null; // of the ranges so far, the one that ends last
    for (const range of sorted) {
      if (range.protocol !== null && range.protocol !== protocol) continue;
      if (reach !== null && range.first <= reach.last && shift(range) !== shift(reach)) {
        return conflictError(reach, range);
      }
      if (reach === null || range.last > reach.last) reach = range;
    }
  }
  return null;
}

function shift(range: PortRange): number {
  return range.internalFirst - range.first;
}

function conflictError(a: PlacedRange, b: PlacedRange): PortSetError {
  const [earlier, later] = a.offset <= b.offset ? [a, b] : [b, a];
  const port = Math.max(a.first, b.first);
  const targets = `${port + shift(earlier)} and ${port + shift(later)}`;
  return fault(`Port ${port} is mapped to both ${targets}; keep one.`, later.offset, later.length);
}

/** Sorted; within one protocol, ranges that touch or overlap with the same shift become one. */
function mergeRanges<P extends Protocol | null>(
  ranges: readonly (PortRange & { readonly protocol: P })[],
): (PortRange & { readonly protocol: P })[] {
  const merged: (PortRange & { readonly protocol: P })[] = [];
  for (const range of ranges.toSorted((a, b) => order(a.protocol) - order(b.protocol) || a.first - b.first)) {
    const { protocol, first, last, internalFirst } = range;
    const before = merged.at(-1);
    if (
      before !== undefined &&
      before.protocol === protocol &&
      first <= before.last + 1 &&
      shift(before) === shift(range)
    ) {
      merged[merged.length - 1] = { ...before, last: Math.max(before.last, last) };
    } else {
      merged.push({ protocol, first, last, internalFirst });
    }
  }
  return merged.sort(byFirst);
}

/** The protocol of the ranges that say none; sorted and merged, one mapping a range however many ports it spans. */
export function settleProtocol(set: PortSet, protocol: "tcp" | "udp" | "tcp+udp"): PortMapping[] {
  const settled: PortMapping[] = [];
  for (const range of set.ranges) {
    const protocols = range.protocol === null ? protocolsOf(protocol) : [range.protocol];
    for (const one of protocols) if (one !== null) settled.push({ ...range, protocol: one });
  }
  return mergeRanges(settled);
}

function rangeText(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

/** Canonical text, sorted: parsePortSet reads it back to the same set. Mappings (`{ ranges: mappings }`) print too. */
export function formatPortSet(set: PortSet): string {
  const parts: string[] = [];
  const sorted = set.ranges.toSorted(byFirst);
  for (let index = 0; index < sorted.length; index++) {
    const range = sorted[index];
    const next = sorted[index + 1];
    if (range === undefined) continue;
    let suffix = range.protocol === null ? "" : `/${range.protocol}`;
    if (range.protocol === "tcp" && next?.protocol === "udp" && samePorts(range, next)) {
      suffix = "/tcp+udp";
      index++;
    }
    const external = rangeText(range.first, range.last);
    const internal = rangeText(range.internalFirst, range.last + shift(range));
    parts.push(`${shift(range) === 0 ? external : `${external}:${internal}`}${suffix}`);
  }
  return parts.join(", ");
}

function samePorts(a: PortRange, b: PortRange): boolean {
  return a.first === b.first && a.last === b.last && a.internalFirst === b.internalFirst;
}

/** The internal port that an external one maps to, or null when no mapping has it. */
export function mappingContains(
  mappings: readonly PortMapping[],
  protocol: Protocol,
  externalPort: number,
): number | null {
  for (const mapping of mappings) {
    if (mapping.protocol === protocol && externalPort >= mapping.first && externalPort <= mapping.last) {
      return externalPort + shift(mapping);
    }
  }
  return null;
}
