// The relay's SSH server beside OpenSSH's own, with OpenSSH's client in front of both: medians, and their ratio.
// node_modules/.bin/bun bench/ssh.ts [rounds; 5] [seconds a load; 3] [measures; bulk,visitors,latency]
import { openSite } from "./lab/site.ts";
import { MEASURES } from "./measures/all.ts";
import { hatchwaySsh } from "./peers/hatchway-ssh.ts";
import { openssh } from "./peers/openssh.ts";
import { describeMachine } from "./report/machine.ts";
import { runRounds } from "./rounds.ts";

const [rounds = "5", seconds = "3", names = "bulk,visitors,latency"] = process.argv.slice(2);
const wanted = names.split(",");
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const site = await openSite();
try {
  const rows = await runRounds(site, {
    measures: MEASURES.filter(({ name }) => wanted.includes(name)),
    peers: [hatchwaySsh, openssh],
    ours: hatchwaySsh.name,
    rounds: Number(rounds),
    seconds: Number(seconds),
    onProgress: (sentence) => console.error(sentence),
    signal: stop.signal,
  });
  console.log(await describeMachine());
  for (const { figure, cells } of rows) {
    const [ours, theirs] = [hatchwaySsh, openssh].map(({ name }) => median(cells.get(name)?.samples ?? []));
    const ratio = (ours ?? 0) / (theirs ?? 0);
    console.log(`${figure.label}: ${show(ours)} ${figure.unit}, sshd ${show(theirs)}: ${ratio.toFixed(2)}×`);
  }
} finally {
  await site.close();
}

function median(samples: readonly number[]): number | undefined {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

function show(value: number | undefined): string {
  return value === undefined ? "none" : value.toPrecision(3);
}
