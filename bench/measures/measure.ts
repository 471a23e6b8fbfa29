import { ADDRESS } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { FORWARD, type Forward, type Peer, type Protocol } from "../peers/peer.ts";

export interface Figure {
  readonly id: string;
  readonly label: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** In the order of the tables. */
export const PLANES = ["remote", "direct", "gateway"] as const;
export type Plane = (typeof PLANES)[number];

/** One thing that is measured, on a peer that was started for it alone. */
export interface Measure {
  /** What `--only` takes. */
  readonly name: string;
  readonly planes: readonly Plane[];
  readonly protocol: Protocol;
  /** True for what is compared with itself and not with peers. */
  readonly oursOnly: boolean;
  readonly figures: readonly Figure[];
  /** Returns a value for each figure; another is only told of when the round ends. Throws when the peer does not serve what it should. */
  run(trial: Trial): Promise<Readonly<Record<string, number>>>;
}

export interface Trial<P extends Peer = Peer> {
  readonly site: Site;
  readonly peer: P;
  /** How long each load lasts. */
  readonly seconds: number;
}

const READY_LIMIT_SEC = 15;
const MAX_DATAGRAM_TRIES = 10;
const POLL_MS = 10;

/** Starts the peer with these forwards and resolves once each of them serves. `web` is always among them. */
export async function serve(trial: Trial, forwards: readonly Forward[] = [FORWARD.web]): Promise<void> {
  const { site, peer } = trial;
  await peer.startRelay(site, forwards);
  if (peer.type === "remote") await peer.startAgent(site, forwards);
  await untilServing(site, forwards);
}

export async function untilServing(site: Site, forwards: readonly Forward[]): Promise<void> {
  const deadline = Date.now() + READY_LIMIT_SEC * 1_000;
  for (const forward of forwards) {
    if (forward.protocol === "udp") {
      await untilDatagramsPass(site, forward);
      continue;
    }
    while (!(await site.isListening("relay", forward.entryPort))) {
      await site.checkAlive();
      if (Date.now() > deadline) {
        const words = `${await site.lastWords("relay")} | ${await site.lastWords("agent")}`;
        throw new Error(`port ${forward.entryPort} did not open in ${READY_LIMIT_SEC} s: ${words}`);
      }
      await Bun.sleep(POLL_MS);
    }
    if (forward.servicePort === FORWARD.web.servicePort) await firstByteMs(site, forward);
  }
}

async function untilDatagramsPass(site: Site, { entryPort }: Forward): Promise<void> {
  for (let tries = 0; tries < MAX_DATAGRAM_TRIES; tries++) {
    await site.checkAlive();
    const one = await site.load(["datagrams", ADDRESS.relay, `${entryPort}`, "64", "1", "1", "20", "1"]);
    if ((one["delivered"] ?? 0) > 0) return;
  }
  throw new Error(`no datagram came back through port ${entryPort}`);
}

/** Asks until an answer comes, and returns when that was, in milliseconds since the epoch. */
export async function firstByteMs(
  site: Site,
  forward: Forward = FORWARD.web,
  limitSec = READY_LIMIT_SEC,
): Promise<number> {
  const { servedAtMs } = await site.load(["probe", ADDRESS.relay, `${forward.entryPort}`, `${limitSec}`]);
  if (servedAtMs === undefined) throw new Error("the probe told no time");
  return servedAtMs;
}

/** A field of what a load program printed. */
export function field(result: Readonly<Record<string, number>>, name: string): number {
  const value = result[name];
  if (value === undefined) throw new Error(`the load program printed no "${name}"`);
  return value;
}

/** More than one failure in a thousand makes a figure worthless: the peer was then not doing what is measured. */
export function refuseFailures(result: Readonly<Record<string, number>>): void {
  const failed = field(result, "failed");
  if (failed > 0.001 * field(result, "served") + 1)
    throw new Error(`${failed} of ${failed + field(result, "served")} requests failed`);
}

/** Before what counts, so that caches are filled, buffers have their size and compilers that work at run time are done. */
export const WARM_UP_SEC = 1;

/** Runs a load program, whose last argument is its seconds, once without counting and then for `seconds`. */
export async function warmLoad(
  { site, seconds }: Pick<Trial, "site" | "seconds">,
  arguments_: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  await site.load([...arguments_, `${WARM_UP_SEC}`]);
  return await site.load([...arguments_, `${seconds}`]);
}
