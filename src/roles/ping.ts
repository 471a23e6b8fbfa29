import { Dials } from "../dataplanes/direct/dial.ts";
import { systemResolver } from "../dataplanes/direct/resolver.ts";
import { startSweeper } from "../dataplanes/io/sweeper.ts";
import { monotonicMs } from "../os/clock.ts";
import { after } from "../os/timers.ts";
import { ControlError, type StartPing } from "./control.ts";
import { hostRoutes, payloadOf } from "./ping/request.ts";
import { runPing } from "./ping/run.ts";

/** Measures from this process, without an agent or a data directory: the direct path to a host, and one through a proxy. */
export const startPing: StartPing = async function* (request, signal) {
  const { target, via } = request;
  if (target.kind !== "host" || via?.kind === "relay" || via?.kind === "agent") {
    throw new ControlError("usage", "That path needs an agent: start `hatchway agent`, or name a proxy with --via.");
  }
  const abort = new AbortController();
  const dials = new Dials(startSweeper(abort.signal));
  try {
    const plane = { dials, resolver: systemResolver(), nowMs: monotonicMs };
    yield* runPing({
      routes: await hostRoutes(plane, request, target, () => null),
      protocol: target.protocol,
      payload: payloadOf(request),
      count: request.count,
      intervalMs: request.intervalMs,
      timeoutMs: request.timeoutMs,
      clock: { nowMs: monotonicMs, after },
      random: Math.random,
      signal,
    });
  } finally {
    dials.close();
    abort.abort();
  }
};
