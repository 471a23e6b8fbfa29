// A relay with many forwards, over real sockets on loopback: what each call costs as they become more. Prints one line a figure.
// node_modules/.bin/bun bench/forwards.ts [how many; 20000]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_OPTIONS, type RemoteSpec } from "../src/core/forward.ts";
import type { RelaySettings, RunningRelay } from "../src/roles/control.ts";
import { startRelay } from "../src/roles/relay.ts";
import { type Client, createClient } from "../src/servers/api/client.ts";
import { openStore } from "../src/store/store.ts";
import { pageFetch } from "../test/fixtures/page-fetch.ts";
import { ROOT, run } from "./lab/commands.ts";

const COUNT = Number(process.argv[2] ?? 20_000);
const STEPS = [1_000, 10_000, 20_000].filter((step) => step <= COUNT);
/** A listener takes a descriptor, and a process may have 20,000 on many machines: the last forwards are disabled. */
const OPEN = 19_500;
const FIRST_PORT = 11_000;
const LOCALHOST = "127.0.0.1";
/** Calls that one figure is taken of. */
const CALLS = 50;
const ROUNDS = 7;
const PAGE_LIMIT = 500;
const IDLE_MS = 10_000;
const PERSON = { name: "ann", password: "correct horse battery" };

const directory = await mkdtemp(join(tmpdir(), "hatchway-forwards-"));
const settings: RelaySettings = {
  listen: { host: LOCALHOST, port: 0 },
  publicHost: LOCALHOST,
  ports: (["tcp", "udp"] as const).map((protocol) => ({
    protocol,
    first: FIRST_PORT,
    last: 65_000,
    internalFirst: FIRST_PORT,
  })),
  allow: [],
  certificate: null,
  clientCa: null,
  stun: false,
  proxyProtocolFrom: [],
  check: { listen: null, hosts: [], private: false, trustedProxies: [] },
  console: { listen: { host: LOCALHOST, port: 0 }, hosts: [], certificate: null, tls: false, trustedProxies: [] },
  metrics: { listen: { host: LOCALHOST, port: 0 }, tokenFile: null },
};
const start = () => startRelay({ dataDir: directory, readSettings: () => Promise.resolve(settings) });

try {
  let relay = await start();
  await enrolDevice(relay);
  await fill(relay);
  const began = performance.now();
  await relay.stop({ drainMs: 0 });
  report("stop", performance.now() - began);
  const starting = performance.now();
  relay = await start();
  report("start", performance.now() - starting);
  await look(relay);
  await relay.stop({ drainMs: 0 });
} finally {
  await rm(directory, { recursive: true });
}

function report(what: string, ms: number, more = ""): void {
  console.log(`${what}: ${ms.toFixed(2)} ms${more}`);
}

/** A device that is away: the ports are open, and its visitors are told so. */
async function enrolDevice(relay: RunningRelay): Promise<void> {
  const store = await openStore(join(directory, "hatchway.db"));
  try {
    const code = await store.joinCodes.create({ deviceName: "attic" }, Date.now());
    if (!code.ok) throw new Error(code.error.message);
    const device = await store.joinCodes.redeem(code.value.secret, new Uint8Array(32).fill(1), Date.now());
    if (!device.ok) throw new Error("the code was refused");
  } finally {
    await store.close();
  }
  if ((await relay.listDevices()).length !== 1) throw new Error("the relay does not know its device");
}

function specOf(n: number): RemoteSpec {
  const port = FIRST_PORT + n;
  return {
    id: `f${n}`,
    name: `Service ${n}`,
    group: null,
    ports: [{ protocol: "tcp", first: port, last: port, internalFirst: 7 }],
    options: DEFAULT_OPTIONS,
    enabled: n < OPEN,
    lifetimeSec: null,
  };
}

function add(relay: RunningRelay, n: number): Promise<unknown> {
  return relay.addForward({ device: "attic", spec: specOf(n), to: LOCALHOST });
}

/** One after the other around each step, 64 at a time in between. */
async function fill(relay: RunningRelay): Promise<void> {
  const filling = performance.now();
  let n = 0;
  for (const step of STEPS.at(-1) === COUNT ? STEPS : [...STEPS, COUNT]) {
    while (n < step - CALLS) {
      const some = Math.min(64, step - CALLS - n);
      await Promise.all(Array.from({ length: some }, (_, at) => add(relay, n + at)));
      n += some;
    }
    const each: number[] = [];
    for (; n < step; n++) {
      const began = performance.now();
      await add(relay, n);
      each.push(performance.now() - began);
    }
    each.sort((a, b) => a - b);
    report(`addForward at ${step}, median of ${CALLS}`, each[CALLS >> 1] ?? 0, `, least ${each[0]?.toFixed(2)} ms`);
  }
  report(`all ${n}`, performance.now() - filling);
}

/** The least of some rounds, and the longest that anything else had to wait then. */
async function least(what: string, act: () => Promise<unknown>): Promise<void> {
  let best = { ms: Number.POSITIVE_INFINITY, heldMs: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const held = watchTurns();
    const began = performance.now();
    await act();
    const ms = performance.now() - began;
    const heldMs = held();
    if (ms < best.ms) best = { ms, heldMs };
  }
  report(what, best.ms, `, at most ${best.heldMs.toFixed(1)} ms at once`);
}

/** Looks at the clock in each turn of the event loop; the longest time between two looks. */
function watchTurns(): () => number {
  let longest = 0;
  let last = performance.now();
  let on = true;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (on) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    on = false;
    return Math.max(longest, performance.now() - last);
  };
}

async function look(relay: RunningRelay): Promise<void> {
  const { url, setupLink } = relay.ready.console ?? { url: "", setupLink: "" };
  const client = createClient({ baseUrl: url, fetch: pageFetch(url) });
  await client.redeem({ token: new URL(setupLink ?? "").hash.slice(1), ...PERSON });
  await least("getOverview", () => client.getOverview());
  await least("listForwards, first page", () => client.listForwards({ limit: PAGE_LIMIT, cursor: null }));
  const cursor = await lastCursor(client);
  await least("listForwards, last page", () => client.listForwards({ limit: PAGE_LIMIT, cursor }));
  await least("a scrape", async () => (await fetch(`http://${LOCALHOST}:${relay.ready.metricsPort}/metrics`)).text());
  await idle(client);
  await least("hatchway status", () => run([join(ROOT, "bin/hatchway"), "status", "--data", directory]));
}

async function lastCursor(client: Client): Promise<string | null> {
  let last: string | null = null;
  for (let cursor: string | null = null; ; last = cursor) {
    const { next } = await client.listForwards({ limit: PAGE_LIMIT, cursor });
    if (next === null) return last;
    cursor = next;
  }
}

/** Processor time of this process, milliseconds. */
function spentMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function idle(client: Client): Promise<void> {
  const spentIn = async () => {
    const before = spentMs();
    const held = maxTimerLag();
    await Bun.sleep(IDLE_MS);
    return { ms: spentMs() - before, heldMs: held() };
  };
  const alone = await spentIn();
  const abort = new AbortController();
  const following = (async () => {
    for await (const _ of client.events({ signal: abort.signal }));
  })().catch(() => undefined);
  await Bun.sleep(2_000);
  const followed = await spentIn();
  abort.abort();
  await following;
  const each = ((followed.ms - alone.ms) * 1_000) / IDLE_MS;
  report("an idle second of /v1/events, processor time", each, `, at most ${followed.heldMs.toFixed(1)} ms at once`);
  report("an idle second without, processor time", (alone.ms * 1_000) / IDLE_MS);
}

/** How late a timer of 2 ms was at most: it leaves the processor alone, which is counted meanwhile. */
function maxTimerLag(): () => number {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 2);
    last = now;
  }, 2);
  return () => {
    clearInterval(timer);
    return longest;
  };
}
