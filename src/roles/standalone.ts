import { PUBLIC_ONLY } from "../core/exit-rule.ts";
import { Dials } from "../dataplanes/direct/dial.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { monotonicMs, nowMs as wallMs } from "../os/clock.ts";
import { areaLogger } from "../os/log.ts";
import { attachQueue } from "./agent/attach.ts";
import { AgentForwards, idOf } from "./agent/forwards.ts";
import { countersOfHeld } from "./agent/info.ts";
import { outcomeEvent } from "./agent/outcome.ts";
import type { StartDirect } from "./control.ts";
import { LiveExitPolicy } from "./exits.ts";
import { V } from "./views.ts";

const COUNTERS_MS = 1_000;

/** Runs direct forwards in this process, without a relay or a data directory, until `signal` aborts. */
export const startDirect: StartDirect = async function* (specs, signal) {
  const log = areaLogger("direct");
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
    onChange: () => undefined,
  });
  const end = () => queue.end();
  signal.addEventListener("abort", end, { once: true });
  let timer: Timer | null = null;
  try {
    let open = 0;
    for (const spec of specs) {
      const outcome = outcomeEvent(spec, await forwards.put(spec, "cli", true));
      if (outcome === null) continue;
      queue.push(outcome);
      if (outcome.event === "exposed") open++;
      else forwards.remove(idOf(spec));
    }
    if (open === 0 || signal.aborted) queue.end();
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
    forwards.close();
    dials.close();
    abort.abort();
  }
};
