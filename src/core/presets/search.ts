import { editDistance } from "../../wire/edit-distance.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import type { PresetRow } from "./preset.ts";
import { PRESETS } from "./presets.ts";

/** More than any name has; keeps a hostile query from costing time. */
const MAX_QUERY_CHARS = 100;
const MAX_TERMS = 8;
/** A range as wide as this says nothing about a port in it (the Switch's, which is every port). */
const MAX_TELLING_SPAN = 32_768;
/** Said beside a port number, and no part of a name. */
const PORT_WORDS = ["tcp", "udp", "port", "ports"];
/** Letters of a word from which its middle is looked for, and from which one or two slips are forgiven. */
const MIN_INFIX = 3;
const MIN_ONE_SLIP = 4;
const MIN_TWO_SLIPS = 8;

/** How well a term fits; the sum over the terms ranks. */
const SCORE = {
  whole: 1_000,
  word: 80,
  start: 60,
  middle: 30,
  slip: 20,
  port: 90,
  portInRange: 70,
  mainPort: 5,
  otherRole: 30,
} as const;

interface Indexed {
  readonly preset: PresetRow;
  /** Id, name, name with variant, and aliases: each in one piece, without spaces. */
  readonly labels: readonly string[];
  readonly words: readonly string[];
  /** `lessBy`: how much less a port counts than one that is opened. */
  readonly ports: readonly { readonly first: number; readonly last: number; readonly lessBy: number }[];
}

const INDEX: readonly Indexed[] = PRESETS.map((preset) => {
  const { id, name, variant, aliases } = preset;
  const texts = [id, name, `${name} ${variant ?? ""}`, ...aliases].map(plain);
  return {
    preset,
    labels: [...new Set(texts.map(joined))],
    words: [...new Set(texts.flatMap((text) => text.split(" ")))],
    ports: preset.ports.flatMap(({ ports, role }, at) => {
      const lessBy = (at === 0 ? -SCORE.mainPort : 0) + (role === "required" ? 0 : SCORE.otherRole);
      const parsed = parsePortSet(ports);
      if (!parsed.ok) return [];
      return parsed.value.ranges
        .filter(({ first, last }) => last - first < MAX_TELLING_SPAN)
        .map(({ first, last }) => ({ first, last, lessBy }));
    }),
  };
});

/**
 * The presets that fit, best first; all of them for an empty query. Words of the name, the variant and the aliases, and
 * port numbers; case, accents and small slips do not matter. Every term must fit.
 */
export function searchPresets(query: string): readonly PresetRow[] {
  const text = plain(query.slice(0, MAX_QUERY_CHARS));
  if (text === "") return query.trim() === "" ? PRESETS : [];
  const written = text.split(" ").slice(0, MAX_TERMS);
  const terms = written.some(isNumber) ? written.filter((term) => !PORT_WORDS.includes(term)) : written;
  return INDEX.map((indexed, place) => ({
    preset: indexed.preset,
    place,
    score: scoreOf(indexed, terms, joined(text)),
  }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.place - b.place)
    .map(({ preset }) => preset);
}

/** What a person meant by a word in the place of ports. */
export type PresetMatch =
  | { readonly kind: "one"; readonly preset: PresetRow }
  /** They share the name, and differ. */
  | { readonly kind: "several"; readonly presets: readonly PresetRow[] }
  /** Unknown; `near`: what it may be a slip of. */
  | { readonly kind: "none"; readonly near: readonly PresetRow[] };

/** By id, by name or by alias, whole. An id goes before all else. */
export function findPreset(text: string): PresetMatch {
  const wanted = joined(plain(text.slice(0, MAX_QUERY_CHARS)));
  if (wanted === "") return { kind: "none", near: [] };
  const byId = PRESETS.find(({ id }) => joined(plain(id)) === wanted);
  if (byId !== undefined) return { kind: "one", preset: byId };
  const named = INDEX.filter(({ labels }) => labels.includes(wanted)).map(({ preset }) => preset);
  const [only] = named;
  if (only !== undefined)
    return named.length === 1 ? { kind: "one", preset: only } : { kind: "several", presets: named };
  return { kind: "none", near: near(wanted) };
}

/** Those whose name is closest, if it is close at all. */
function near(wanted: string): readonly PresetRow[] {
  const rated = INDEX.map(({ preset, labels }) => ({
    preset,
    distance: Math.min(...labels.map((label) => slips(wanted, label) ?? Number.POSITIVE_INFINITY)),
  }));
  const best = Math.min(...rated.map(({ distance }) => distance));
  return best === Number.POSITIVE_INFINITY
    ? []
    : rated.filter(({ distance }) => distance === best).map(({ preset }) => preset);
}

function scoreOf({ labels, words, ports }: Indexed, terms: readonly string[], whole: string): number {
  const named = labelScore(labels, whole);
  let sum = 0;
  for (const term of terms) {
    const score = Math.max(wordScore(words, term), portScore(ports, term));
    // A name that is written in one piece, or apart (`counterstrike`, `team speak`), fits as a whole or not at all.
    if (score === 0) return named;
    sum += score;
  }
  return Math.max(named, 0) + sum;
}

function labelScore(labels: readonly string[], whole: string): number {
  let best = 0;
  for (const label of labels) {
    if (label === whole) return SCORE.whole;
    if (label.startsWith(whole) && whole.length >= MIN_INFIX) best = Math.max(best, SCORE.start);
    else if (slips(whole, label) !== null) best = Math.max(best, SCORE.slip);
  }
  return best;
}

function wordScore(words: readonly string[], term: string): number {
  let best = 0;
  for (const word of words) {
    if (word === term) return SCORE.word;
    if (word.startsWith(term)) best = Math.max(best, SCORE.start);
    else if (term.length >= MIN_INFIX && word.includes(term)) best = Math.max(best, SCORE.middle);
    else if (best < SCORE.slip && slips(term, word) !== null) best = SCORE.slip;
  }
  return best;
}

/**
 * A port that a preset names goes before one that is within a range, and the wider the range, the less it says; its
 * first port goes before the others, and what is opened before what is not.
 */
function portScore(ports: Indexed["ports"], term: string): number {
  if (!isNumber(term)) return 0;
  const port = Number(term);
  let best = 0;
  for (const { first, last, lessBy } of ports) {
    if (port < first || port > last) continue;
    const score = first === last ? SCORE.port : SCORE.portInRange * (1 - (last - first) / MAX_TELLING_SPAN);
    best = Math.max(best, 1 + score - lessBy);
  }
  return best;
}

function isNumber(term: string): boolean {
  return /^\d{1,5}$/.test(term);
}

/** How many slips of the hand lie between them; null = too many for a word of that length, or they are numbers. */
function slips(written: string, meant: string): number | null {
  const allowed = written.length >= MIN_TWO_SLIPS ? 2 : written.length >= MIN_ONE_SLIP ? 1 : 0;
  if (allowed === 0 || Math.abs(written.length - meant.length) > allowed) return null;
  if (!beginAlike(written, meant) || /^\d+$/.test(written)) return null;
  const distance = editDistance(written, meant);
  return distance <= allowed ? distance : null;
}

/** One of the first two letters is right: who slips twice at once at the very beginning is not understood. It is cheap to see. */
function beginAlike(a: string, b: string): boolean {
  return a[0] === b[0] || a[1] === b[1] || a[0] === b[1] || a[1] === b[0];
}

/** Lower case, without accents, words of letters and digits with one space between. */
function plain(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/['’]/g, "")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
}

function joined(text: string): string {
  return text.replaceAll(" ", "");
}
