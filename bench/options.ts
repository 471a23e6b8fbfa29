import { parseArgs } from "node:util";
import { MEASURES } from "./measures/all.ts";
import type { Measure } from "./measures/measure.ts";
import { PEERS } from "./peers/all.ts";
import type { Peer } from "./peers/peer.ts";

const DEFAULT_ROUNDS = 5;
const DEFAULT_SECONDS = 3;
const MAX_ROUNDS = 50;
const MAX_SECONDS = 60;

export const HELP = `usage: npm run bench [-- OPTIONS]
  --only NAMES     some measures, by comma: ${MEASURES.map(({ name }) => name).join(", ")}
  --peers NAMES    some programs, by comma: ${Object.keys(PEERS).join(", ")}
  --rounds N       how often each is measured, in turns (${DEFAULT_ROUNDS})
  --seconds N      how long each load lasts (${DEFAULT_SECONDS})
  --json FILE      write every sample there
  --keep FILE      what is not measured now is taken from the samples that --json wrote there
  --write          write docs/benchmarks.md
  --help           print this
`;

export interface Options {
  readonly measures: readonly Measure[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly seconds: number;
  readonly jsonFile: string | null;
  readonly keepFile: string | null;
  readonly write: boolean;
  readonly help: boolean;
}

/** Throws an Error with one sentence about the first argument that is wrong. */
export function readOptions(arguments_: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...arguments_],
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      json: { type: "string" },
      keep: { type: "string" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const measures = new Map(MEASURES.map((measure) => [measure.name, measure]));
  return {
    measures: pick("--only", values.only, measures),
    peers: pick("--peers", values.peers, new Map(Object.entries(PEERS))).flat(),
    rounds: whole("--rounds", values.rounds, DEFAULT_ROUNDS, MAX_ROUNDS),
    seconds: whole("--seconds", values.seconds, DEFAULT_SECONDS, MAX_SECONDS),
    jsonFile: values.json ?? null,
    keepFile: values.keep ?? null,
    write: values.write,
    help: values.help,
  };
}

/** What is named, in the order of the whole; everything when nothing is named. */
function pick<T>(flag: string, text: string | undefined, all: ReadonlyMap<string, T>): T[] {
  if (text === undefined) return [...all.values()];
  const wanted = new Set(text.split(",").map((name) => name.trim()));
  for (const name of wanted) {
    if (!all.has(name)) throw new Error(`${flag} knows no "${name}"; it takes ${[...all.keys()].join(", ")}`);
  }
  return [...all].filter(([name]) => wanted.has(name)).map(([, value]) => value);
}

function whole(flag: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`${flag} takes a number from 1 to ${most}, not "${text}"`);
  return value;
}
