import type { PingLoss, PingOutcome } from "../../core/ping/model.ts";
import type { After } from "../../os/timers.ts";
import type { ReasonName } from "../../wire/reason.ts";
import type { PingRoute } from "./routes.ts";

/** What a probe asks, and waits for (core/ping/model.ts). */
export type Question =
  | { readonly kind: "connect" }
  | { readonly kind: "sign" }
  | {
      readonly kind: "answer";
      readonly payload: Uint8Array;
      /** no: the payload goes first. yes: after the service's greeting. ask: after its greeting, if there is one within LISTEN_MS. */
      readonly greets: "no" | "yes" | "ask";
    }
  | { readonly kind: "datagram"; readonly payload: Uint8Array };

export interface ProbeResult {
  readonly outcome: PingOutcome;
  /** The connection opened, whatever came of it. */
  readonly opened: boolean;
  /** The service spoke before it was asked. */
  readonly greeted: boolean;
}

export interface Clock {
  /** Monotonic. */
  nowMs(): number;
  readonly after: After;
}

/** A service that greets does it at once; what remains is the way from the service to here. */
const LISTEN_MS = 500;

/** What a probe takes once. */
export type Way = Pick<PingRoute, "connect" | "openFlow">;

/**
 * Asks once, on a connection or flow of its own, and calls `settled` once. The result cuts the probe short: it counts as
 * lost by `timeout`, and `settled` is called.
 */
export function startProbe(
  route: Way,
  question: Question,
  clock: Clock,
  settled: (result: ProbeResult) => void,
): () => void {
  return question.kind === "datagram"
    ? probeDatagram(route, question.payload, clock, settled)
    : probeConnection(route, question, clock, settled);
}

/** The same as a promise, with a deadline. */
export function probeOnce(
  route: Way,
  question: Question,
  clock: Clock,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  const result = Promise.withResolvers<ProbeResult>();
  const cancel = startProbe(route, question, clock, (outcome) => {
    stopTimer();
    signal.removeEventListener("abort", cancel);
    result.resolve(outcome);
  });
  const stopTimer = clock.after(timeoutMs, cancel);
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  return result.promise;
}

function probeConnection(
  route: Way,
  question: Exclude<Question, { kind: "datagram" }>,
  clock: Clock,
  settled: (result: ProbeResult) => void,
): () => void {
  const { end, sinceMs } = route.connect();
  const state = { opened: false, greeted: false, settled: false, askedMs: 0, asked: false };
  let stopListening = () => {};
  const settle = (outcome: PingOutcome) => {
    if (state.settled) return;
    state.settled = true;
    stopListening();
    // It has said what was asked: nothing of it is to stay, here or at any hop.
    end.reset("shutdown");
    settled({ outcome, opened: state.opened, greeted: state.greeted });
  };
  const lost = (why: PingLoss) => settle({ lost: why });
  const ask = (payload: Uint8Array) => {
    stopListening();
    state.asked = true;
    state.askedMs = clock.nowMs();
    end.write(payload);
  };
  end.sink = {
    onOpen: () => {
      if (state.settled) return;
      state.opened = true;
      switch (question.kind) {
        case "connect":
          settle({ ms: clock.nowMs() - sinceMs() });
          return;
        case "sign":
          state.askedMs = clock.nowMs();
          end.end();
          return;
        case "answer":
          if (question.greets === "no") ask(question.payload);
          if (question.greets === "ask") stopListening = clock.after(LISTEN_MS, () => ask(question.payload));
          return;
        default:
          question satisfies never;
      }
    },
    onData: () => {
      if (state.settled) return;
      if (question.kind !== "answer" || state.asked) {
        settle({ ms: clock.nowMs() - state.askedMs });
        return;
      }
      state.greeted = true;
      ask(question.payload);
    },
    onDrain: () => undefined,
    onEnd: () => {
      if (question.kind === "sign" && state.opened) settle({ ms: clock.nowMs() - state.askedMs });
      else lost("noAnswer");
    },
    onClose: (reason: ReasonName | null) => lost(reason ?? "noAnswer"),
  };
  return () => lost("timeout");
}

function probeDatagram(
  route: Way,
  payload: Uint8Array,
  clock: Clock,
  settled: (result: ProbeResult) => void,
): () => void {
  const { flow, sinceMs } = route.openFlow();
  let isSettled = false;
  const settle = (outcome: PingOutcome) => {
    if (isSettled) return;
    isSettled = true;
    flow.close("shutdown");
    settled({ outcome, opened: true, greeted: false });
  };
  flow.sink = {
    onDatagram: () => settle({ ms: clock.nowMs() - sinceMs() }),
    onClose: (reason) => settle({ lost: reason ?? "noAnswer" }),
  };
  flow.send(payload);
  return () => settle({ lost: "timeout" });
}
