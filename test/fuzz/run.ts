import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { FuzzCodec } from "./codec.ts";
import { MAX_INPUT_BYTES } from "./mutate.ts";
import { BEACON, type FuzzOutcome, type FuzzTask, loadCodecs } from "./worker.ts";

const USAGE = `bun test/fuzz/run.ts [--seconds S | --mutations N] [--seed N] [--codec NAME] [--input HEX] [--table FILE]

  --seconds S     share S seconds among the codecs
  --mutations N   this many inputs for each codec (default 100000)
  --seed N        repeat a run (default: the clock)
  --codec NAME    one codec only
  --input HEX     run one input instead, with --codec
  --table FILE    another table of codecs than codecs.ts`;

const DEFAULT_MUTATIONS = 100_000;
const WATCH_MS = 200;
/** A codec needs microseconds for an input; a busy machine may stall a thread for much longer. */
const HANG_MS = 4000;
/** Inputs are at most 2 KiB: whoever reaches this keeps what it should let go. */
const MAX_RSS_BYTES = 1024 ** 3;

interface Options {
  readonly seconds: number | null;
  readonly mutations: number;
  readonly seed: number;
  readonly codec: string | null;
  readonly inputHex: string | null;
  readonly table: string;
}

function readOptions(argv: string[]): Options {
  const { values } = parseArgs({
    args: argv,
    options: {
      seconds: { type: "string" },
      mutations: { type: "string" },
      seed: { type: "string" },
      codec: { type: "string" },
      input: { type: "string" },
      table: { type: "string" },
    },
  });
  const number = (name: "seconds" | "mutations" | "seed"): number | null => {
    const text = values[name];
    if (text === undefined) return null;
    if (!/^[0-9]+(\.[0-9]+)?$/.test(text)) throw new Error(`--${name} takes a number`);
    return Number(text);
  };
  const seconds = number("seconds");
  return {
    seconds,
    mutations: number("mutations") ?? (seconds === null ? DEFAULT_MUTATIONS : Number.MAX_SAFE_INTEGER),
    seed: number("seed") ?? Date.now() % 0x1_0000_0000,
    codec: values.codec ?? null,
    inputHex: values.input ?? null,
    table: values.table === undefined ? resolve(import.meta.dir, "codecs.ts") : resolve(values.table),
  };
}

type WatchedOutcome =
  | FuzzOutcome
  | { readonly kind: "hung"; readonly inputHex: string }
  | { readonly kind: "grew"; readonly inputHex: string; readonly rssBytes: number };

/** Runs one codec in a thread of its own, which is ended when it hangs or grows. */
function runCodec(task: Omit<FuzzTask, "beacon">): Promise<WatchedOutcome> {
  const beacon = new SharedArrayBuffer(BEACON.inputByte + MAX_INPUT_BYTES * 2);
  const cells = new Int32Array(beacon, 0, 2);
  const currentHex = () => {
    const length = Atomics.load(cells, BEACON.lengthAt);
    return Buffer.from(new Uint8Array(beacon, BEACON.inputByte, length)).toString("hex");
  };
  const worker = new Worker(new URL("./worker.ts", import.meta.url));
  const { promise, resolve: settle, reject } = Promise.withResolvers<WatchedOutcome>();
  let lastBeat = 0;
  let lastBeatMs = performance.now();
  const watch = setInterval(() => {
    const beat = Atomics.load(cells, BEACON.beatAt);
    const nowMs = performance.now();
    const rssBytes = process.memoryUsage.rss();
    if (rssBytes > MAX_RSS_BYTES) return settle({ kind: "grew", inputHex: currentHex(), rssBytes });
    if (beat !== lastBeat) {
      lastBeat = beat;
      lastBeatMs = nowMs;
    } else if (beat > 0 && nowMs - lastBeatMs > HANG_MS) {
      settle({ kind: "hung", inputHex: currentHex() });
    }
  }, WATCH_MS);
  worker.on("message", (outcome: FuzzOutcome) => settle(outcome));
  worker.on("error", reject);
  worker.postMessage({ ...task, beacon } satisfies FuzzTask);
  return promise.finally(() => {
    clearInterval(watch);
    void worker.terminate();
  });
}

function report(codec: FuzzCodec, seed: number, outcome: WatchedOutcome): boolean {
  const name = codec.name.padEnd(26);
  if (outcome.kind === "done") {
    const perInput = (outcome.elapsedMs * 1000) / Math.max(1, outcome.mutations);
    const taken = Math.round((100 * outcome.accepted) / Math.max(1, outcome.mutations));
    const counts = `${String(outcome.mutations).padStart(9)} mutations  ${String(taken).padStart(3)} % taken`;
    console.log(`ok    ${name} ${counts}  ${perInput.toFixed(1).padStart(6)} µs each  seed ${seed}`);
    return true;
  }
  console.log(`FAIL  ${name} seed ${seed}`);
  if (outcome.kind === "failed") console.log(`after ${outcome.mutations} mutations: ${outcome.message}`);
  if (outcome.kind === "hung") console.log(`no answer to one input within ${HANG_MS} ms`);
  if (outcome.kind === "grew") console.log(`memory grew to ${Math.round(outcome.rssBytes / 2 ** 20)} MiB`);
  console.log(`input (hex): ${outcome.inputHex}`);
  console.log(`repeat: bun test/fuzz/run.ts --codec ${codec.name} --input ${outcome.inputHex}`);
  return false;
}

function replay(codec: FuzzCodec, inputHex: string): boolean {
  try {
    const taken = codec.check(Uint8Array.from(Buffer.from(inputHex, "hex")));
    console.log(`ok    ${codec.name}: ${taken ? "taken" : "refused"}`);
    return true;
  } catch (error) {
    console.log(`FAIL  ${codec.name}: ${error instanceof Error ? error.stack : error}`);
    return false;
  }
}

async function main(options: Options): Promise<boolean> {
  const all = await loadCodecs(options.table);
  const chosen = options.codec === null ? all : all.filter(({ name }) => name === options.codec);
  if (chosen.length === 0) throw new Error(`--codec is one of ${all.map(({ name }) => name).join(", ")}`);
  if (options.inputHex !== null) return chosen.every((codec) => replay(codec, options.inputHex ?? ""));
  const budgetMs = options.seconds === null ? Number.POSITIVE_INFINITY : (options.seconds * 1000) / chosen.length;
  for (const codec of chosen) {
    const { seed, mutations, table } = options;
    const outcome = await runCodec({ table, codec: codec.name, seed, mutations, budgetMs });
    if (!report(codec, seed, outcome)) return false;
  }
  return true;
}

try {
  process.exit((await main(readOptions(process.argv.slice(2)))) ? 0 : 1);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exit(2);
}
