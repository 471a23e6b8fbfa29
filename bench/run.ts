// Measures Hatchway beside other programs that do the same job: see README.md here.
import { join } from "node:path";
import { ROOT } from "./lab/commands.ts";
import { openSite } from "./lab/site.ts";
import { MEASURES } from "./measures/all.ts";
import { HELP, type Options, readOptions } from "./options.ts";
import { hatchway } from "./peers/hatchway.ts";
import { Absent, type Peer } from "./peers/peer.ts";
import { asJson, fromJson, withKept } from "./report/kept.ts";
import { describeMachine } from "./report/machine.ts";
import type { Column, Results } from "./report/results.ts";
import { asPage, asSentence, asText, notes, tables } from "./report/tables.ts";
import { runRounds } from "./rounds.ts";

const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
const PAGE = join(ROOT, "docs/benchmarks.md");

interface Field {
  readonly peers: readonly Peer[];
  readonly columns: readonly Column[];
  readonly absent: ReadonlyMap<string, string>;
}

async function askVersions(peers: readonly Peer[]): Promise<Field> {
  const present: Peer[] = [];
  const columns: Column[] = [];
  const absent = new Map<string, string>();
  for (const peer of peers) {
    try {
      const version = await peer.version();
      present.push(peer);
      columns.push({ peer: peer.name, plane: peer.type, version, encryption: peer.encryption });
    } catch (error) {
      // Without a version there is nothing to name in the table; a program that cannot even tell it is no candidate.
      absent.set(
        peer.name,
        error instanceof Absent ? error.message : `cannot tell its version: ${(error as Error).message}`,
      );
    }
  }
  return { peers: present, columns, absent };
}

async function measure(options: Options, command: string): Promise<Results> {
  const { peers, columns, absent } = await askVersions(options.peers);
  const startedAt = new Date().toISOString();
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const site = await openSite();
  try {
    const rows = await runRounds(site, {
      ...options,
      peers,
      ours: hatchway.name,
      onProgress: (sentence) => console.error(sentence),
      signal: stop.signal,
    });
    const { rounds, seconds } = options;
    const measures = [...new Set(rows.map(({ measure }) => measure))];
    return {
      runs: [{ command, startedAt, rounds, seconds, measures }],
      machine: await describeMachine(),
      ours: hatchway.name,
      columns,
      absent,
      rows,
    };
  } finally {
    await site.close();
  }
}

async function main(arguments_: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = readOptions(arguments_);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return EXIT.usage;
  }
  if (options.help) {
    console.log(HELP);
    return EXIT.ok;
  }
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    console.error("bench: run it as root on Linux: it makes network namespaces.");
    return EXIT.failed;
  }
  const command = ["npm run bench", ...(arguments_.length > 0 ? ["--", ...arguments_] : [])].join(" ");
  // Read first: an hour later is no time to find that a file is not there.
  const kept = options.keepFile === null ? null : fromJson(await Bun.file(options.keepFile).text());
  const taken = await measure(options, command);
  const results =
    kept === null
      ? taken
      : withKept(
          taken,
          kept,
          MEASURES.map(({ name }) => name),
        );
  console.log(`${results.machine}\n${results.runs.map(asSentence).join("\n")}\n`);
  for (const table of tables(results)) console.log(`${asText(table)}\n`);
  for (const note of notes(results)) console.log(`· ${note}`);
  if (options.jsonFile !== null) await Bun.write(options.jsonFile, asJson(results));
  if (options.write) await Bun.write(PAGE, asPage(results));
  return results.rows.some((row) => row.cells.get(results.ours)?.problem != null) ? EXIT.failed : EXIT.ok;
}

process.exitCode = await main(process.argv.slice(2));
