import { parentPort } from "node:worker_threads";
import type { FuzzCodec } from "./codec.ts";
import { newMutator } from "./mutate.ts";
import { hashOf, newRandom } from "./random.ts";

/** What the watcher in run.ts can read while this thread is stuck: a beat for each input, then the input itself. */
export const BEACON = { beatAt: 0, lengthAt: 1, inputByte: 8 } as const;

export interface FuzzTask {
  /** The module that exports `codecs`. */
  readonly table: string;
  readonly codec: string;
  readonly seed: number;
  /** Whichever comes first. */
  readonly mutations: number;
  readonly budgetMs: number;
  readonly beacon: SharedArrayBuffer;
}

export type FuzzOutcome =
  | { readonly kind: "done"; readonly mutations: number; readonly accepted: number; readonly elapsedMs: number }
  | { readonly kind: "failed"; readonly mutations: number; readonly inputHex: string; readonly message: string };

/** Looking at the clock costs as much as a short input. */
const MUTATIONS_PER_CLOCK = 64;

export async function loadCodecs(table: string): Promise<readonly FuzzCodec[]> {
  const loaded: { codecs: readonly FuzzCodec[] } = await import(table);
  return loaded.codecs;
}

function fuzz(codec: FuzzCodec, task: FuzzTask): FuzzOutcome {
  const startedMs = performance.now();
  // A seed of its own for each codec, so that `--codec NAME` repeats what the full run did.
  const random = newRandom(task.seed ^ hashOf(new TextEncoder().encode(codec.name)));
  const mutator = newMutator(codec.seeds, random);
  const cells = new Int32Array(task.beacon, 0, 2);
  const shown = new Uint8Array(task.beacon, BEACON.inputByte);
  let mutations = 0;
  let accepted = 0;

  function failure(input: Uint8Array): string | null {
    Atomics.store(cells, BEACON.lengthAt, input.length);
    shown.set(input);
    Atomics.add(cells, BEACON.beatAt, 1);
    try {
      if (codec.check(input)) {
        accepted++;
        if (mutations > 0) mutator.keep(input);
      }
      return null;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  const failed = (input: Uint8Array, message: string): FuzzOutcome => ({
    kind: "failed",
    mutations,
    inputHex: Buffer.from(input).toString("hex"),
    message,
  });

  for (const seed of codec.seeds) {
    const message = failure(seed);
    if (message !== null) return failed(seed, message);
  }
  accepted = 0;
  while (mutations < task.mutations) {
    if (mutations % MUTATIONS_PER_CLOCK === 0 && performance.now() - startedMs >= task.budgetMs) break;
    mutations++;
    const input = mutator.next();
    const message = failure(input);
    if (message !== null) return failed(input, message);
  }
  return { kind: "done", mutations, accepted, elapsedMs: performance.now() - startedMs };
}

parentPort?.on("message", async (task: FuzzTask) => {
  const codec = (await loadCodecs(task.table)).find(({ name }) => name === task.codec);
  if (codec === undefined) throw new Error(`no codec ${task.codec}`);
  parentPort?.postMessage(fuzz(codec, task));
});
