// The library in an app, on Node and on Bun, beside the command line's agent: medians, and their ratio to the agent's.
// node_modules/.bin/bun bench/library.ts [rounds; 3] [seconds a load; 1] [measures; bulk,visitors,latency]

import { bundleLibrary } from "../test/library/node.ts";
import { openSite } from "./lab/site.ts";
import { MEASURES } from "./measures/all.ts";
import { hatchway } from "./peers/hatchway.ts";
import { libraryPeers } from "./peers/hatchway-library.ts";
import { describeMachine } from "./report/machine.ts";
import { runRounds } from "./rounds.ts";

const [rounds = "3", seconds = "1", names = "bulk,visitors,latency"] = process.argv.slice(2);
const wanted = names.split(",");
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

bundleLibrary();
const site = await openSite();
try {
  const rows = await runRounds(site, {
    measures: MEASURES.filter(({ name }) => wanted.includes(name)),
    peers: [hatchway, ...libraryPeers],
    ours: hatchway.name,
    rounds: Number(rounds),
    seconds: Number(seconds),
    onProgress: (sentence) => console.error(sentence),
    signal: stop.signal,
  });
  console.log(await describeMachine());
  for (const { figure, cells } of rows) {
    const of = (name: string) => median(cells.get(name)?.samples ?? []);
    const agent = of(hatchway.name);
    const others = libraryPeers.map(({ name }) => `${name} ${show(of(name), agent)}`);
    console.log(`${figure.label} (${figure.unit}): agent ${agent?.toPrecision(3) ?? "none"}; ${others.join("; ")}`);
  }
} finally {
  await site.close();
}

function median(samples: readonly number[]): number | undefined {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1];
}

function show(value: number | undefined, agent: number | undefined): string {
  if (value === undefined) return "none";
  return `${value.toPrecision(3)} (${(value / (agent ?? Number.NaN)).toFixed(2)}×)`;
}
