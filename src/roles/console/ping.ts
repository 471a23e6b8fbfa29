import { LOSS_WORDS, type PingOutcome } from "../../core/ping/model.ts";
import { refusedFlow } from "../../dataplanes/io/refused.ts";
import { tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import type { PingEvent } from "../../servers/api/schema.ts";
import { type Clock, probeOnce, type Way } from "../ping/probe.ts";
import type { DeviceLink } from "../relay/device-link.ts";

export const PING_EVERY_MS = 1_000;
/** A sample that takes longer is lost: with these a run of 60 samples ends within two minutes, whatever is silent. */
const ANSWER_MS = 2_000;

export interface PingRunOptions {
  readonly port: number;
  readonly samples: number;
  /** The device's link now; undefined = it is away. */
  link(): DeviceLink | undefined;
  /** What the device calls the forward now; null = it has not taken it up. */
  handle(): number | null;
  readonly clock: Clock;
  wallMs(): number;
  readonly signal: AbortSignal;
}

/** Measures the link to a device and a forward's service behind it, one sample after the other. Ends quietly on abort. */
export async function* pingRun(options: PingRunOptions): AsyncGenerator<PingEvent, void, void> {
  const { port, samples, clock, signal } = options;
  yield { event: "started", port, samples, everyMs: PING_EVERY_MS };
  const way = serviceWay(options);
  for (let seq = 1; seq <= samples && !signal.aborted; seq++) {
    const startedMs = clock.nowMs();
    const atMs = options.wallMs();
    const [linkMs, { outcome }] = await Promise.all([
      linkSample(options),
      probeOnce(way, { kind: "connect" }, clock, { timeoutMs: ANSWER_MS, signal }),
    ]);
    if (signal.aborted) return;
    yield { event: "sample", seq, atMs, linkMs: rounded(linkMs), ...figureOf(outcome) };
    if (seq < samples) await sleep(clock, startedMs + PING_EVERY_MS - clock.nowMs(), signal);
  }
  if (!signal.aborted) yield { event: "done" };
}

/** As a visitor's stream goes, and without the relay's counting one. */
function serviceWay({ port, link, handle, clock }: PingRunOptions): Way {
  const exit = tunnelExit(({ visitor, entry }) => {
    const [present, named] = [link(), handle()];
    if (present === undefined || named === null) return "deviceAway";
    return {
      link: present,
      request: { kind: "forward", handle: named, externalPort: port, visitor, entry },
      onGone: null,
    };
  });
  const here = { address: "127.0.0.1", port: 0 };
  return {
    connect: () => {
      const sinceMs = clock.nowMs();
      const end = exit.connect({ visitor: here, entry: { ...here, port }, externalPort: port });
      return { end, sinceMs: () => sinceMs };
    },
    // A datagram has no answer that is known beforehand: only connections are measured.
    openFlow: () => ({ flow: refusedFlow("policy"), sinceMs: clock.nowMs }),
  };
}

async function linkSample({ link, clock }: PingRunOptions): Promise<number | null> {
  const present = link();
  if (present === undefined) return null;
  const late = Promise.withResolvers<null>();
  const cancel = clock.after(ANSWER_MS, () => late.resolve(null));
  try {
    return await Promise.race([present.measureRtt(), late.promise]);
  } finally {
    cancel();
  }
}

function figureOf(outcome: PingOutcome): { readonly serviceMs: number | null; readonly lost: string | null } {
  if ("ms" in outcome) return { serviceMs: rounded(outcome.ms), lost: null };
  return { serviceMs: null, lost: LOSS_WORDS[outcome.lost] };
}

/** To a hundredth of a millisecond: more is noise. */
function rounded<T extends number | null>(ms: T): T | number {
  return ms === null ? ms : Math.round(ms * 100) / 100;
}

function sleep({ after }: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = after(Math.max(0, ms), resolve);
  const wake = () => resolve();
  signal.addEventListener("abort", wake, { once: true });
  if (signal.aborted) wake();
  return promise.finally(() => {
    cancel();
    signal.removeEventListener("abort", wake);
  });
}
