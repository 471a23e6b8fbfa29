import { PUBLIC_ONLY } from "../core/exit-rule.ts";
import { same } from "../core/same.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { areaLogger } from "../os/log.ts";
import { attachQueue } from "./agent/attach.ts";
import { AgentForwards, idOf } from "./agent/forwards.ts";
import { countersOfHeld } from "./agent/info.ts";
import { outcomeEvent } from "./agent/outcome.ts";
import type { AttachEvent, ForwardSpec, StartStandalone } from "./control.ts";
import { LiveExitPolicy } from "./exits.ts";
import { RouterLog } from "./upstream/log.ts";
import { upstreamOpener } from "./upstream/open.ts";
import { V } from "./views.ts";

const COUNTERS_MS = 1_000;

/** Runs direct forwards and upstream mappings in this process, without a relay or a data directory, until `signal` aborts. */
export const startStandalone: StartStandalone = async function* (specs, signal) {
  const log = areaLogger("standalone");
  const abort = new AbortController();
  const sweeper = startSweeper(abort.signal);
  const dials = new Dials(sweeper);
  const queue = attachQueue();
  const forwards = new AgentForwards({
    plane: {
      sweeper,
      dials,
      resolver: systemResolver(),
      allows: new LiveExitPolicy({
        rules: () => PUBLIC_ONLY,
        exposed: () => [],
        nowMs: monotonicMs,
        onRefused: ({ message }) => log.info("{message}", { message }),
      }),
      session: () => null,
    },
    random: Math.random,
    openUpstream: upstreamOpener(new RouterLog()),
    onChange: (id) => tell(id),
  });
  const told = new Map<string, { readonly spec: ForwardSpec; last: AttachEvent | null }>();
  const tell = (id: string) => {
    const one = told.get(id);
    const held = forwards.get(id);
    const outcome = one === undefined || held === undefined ? null : outcomeEvent(one.spec, held);
    if (one === undefined || outcome === null || same(outcome, one.last)) return;
    one.last = outcome;
    queue.push(outcome);
    if (outcome.event !== "refused") return;
    told.delete(id);
    forwards.remove(id);
    if (told.size === 0) queue.end();
  };
  const end = () => queue.end();
  signal.addEventListener("abort", end, { once: true });
  let timer: Timer | null = null;
  try {
    for (const spec of specs) told.set(idOf(spec), { spec, last: null });
    if (told.size === 0 || signal.aborted) queue.end();
    // What routers are asked for takes a while: their answers are told as they come.
    Promise.all(specs.map((spec) => forwards.put(spec, "cli", true))).catch((error: unknown) => queue.fail(error));
    timer = setInterval(() => {
      queue.push({
        event: "counters",
        ...V,
        atMs: wallMs(),
        rttMs: null,
        forwards: [...forwards.list()].map(([id, held]) => ({ id, ...countersOfHeld(held) })),
      });
    }, COUNTERS_MS);
    yield* queue;
  } finally {
    if (timer !== null) clearInterval(timer);
    signal.removeEventListener("abort", end);
    await forwards.close();
    dials.close();
    abort.abort();
  }
};
