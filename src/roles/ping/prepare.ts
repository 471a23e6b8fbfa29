import type { PingMeasure } from "../../core/ping/model.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { type Clock, type ProbeResult, probeOnce, type Question } from "./probe.ts";
import type { PingRoute } from "./routes.ts";

/** A route, and what its probes ask. */
export interface PreparedRoute {
  readonly route: PingRoute;
  readonly question: Question;
  readonly measure: PingMeasure;
}

export interface PrepareOptions {
  readonly routes: readonly PingRoute[];
  readonly protocol: Protocol;
  readonly payload: Uint8Array | null;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** For UDP when nothing else is given: an echo (RFC 862) sends it back. */
const ECHO = new TextEncoder().encode("hatchway ping");

/**
 * Finds out what can be measured by a probe of each path that does not count. It has names resolved and ways opened as
 * well, which only the first would pay for. Throws the ControlError of a route on which every probe would be refused.
 */
export async function prepare(options: PrepareOptions): Promise<readonly PreparedRoute[]> {
  const { protocol, payload, routes } = options;
  if (protocol === "udp") {
    const question: Question = { kind: "datagram", payload: payload ?? ECHO };
    await tryEach(options, question);
    return routes.map((route) => ({ route, question, measure: "answer" }));
  }
  if (payload !== null) {
    const greets = await learnGreeting(options, payload);
    return routes.map((route) => ({ route, question: { kind: "answer", payload, greets }, measure: "answer" }));
  }
  if (!routes.some(({ isEntry }) => isEntry)) {
    await tryEach(options, { kind: "connect" });
    return routes.map((route) => ({ route, question: { kind: "connect" }, measure: "connect" }));
  }
  return prepareEntry(options);
}

/** Whether the service speaks before it is asked. All paths lead to the same: the first that answers has told it. */
async function learnGreeting(options: PrepareOptions, payload: Uint8Array): Promise<"yes" | "no"> {
  let greets: "yes" | "no" | "ask" = "ask";
  for (const route of options.routes) {
    const { greeted, outcome } = await tryOne(options, route, { kind: "answer", payload, greets });
    if (greets === "ask" && (greeted || "ms" in outcome)) greets = greeted ? "yes" : "no";
  }
  return greets === "yes" ? "yes" : "no";
}

/**
 * An entry accepts before the service is reached, so that its connect time says nothing of the way behind it. Most
 * services show themselves without being asked: they greet, or they end when the visitor does. Whether this one does is
 * learned where nothing is in between, on the direct path when it is asked for.
 */
async function prepareEntry(options: PrepareOptions): Promise<readonly PreparedRoute[]> {
  const [first, ...others] = options.routes.toSorted((a, b) => Number(a.isEntry) - Number(b.isEntry));
  if (first === undefined) return [];
  const { opened, outcome } = await tryOne(options, first, { kind: "sign" });
  const isMute = opened && "lost" in outcome && outcome.lost === "timeout";
  const question: Question = isMute ? { kind: "connect" } : { kind: "sign" };
  for (const route of others) await tryOne(options, route, question);
  return options.routes.map((route) => {
    const measure = !isMute ? "sign" : route.isEntry ? "accept" : "connect";
    return { route, question, measure };
  });
}

/** One after the other: they are not to disturb each other, and the first refusal ends it. */
async function tryEach(options: PrepareOptions, question: Question): Promise<void> {
  for (const route of options.routes) await tryOne(options, route, question);
}

async function tryOne(
  { clock, timeoutMs, signal }: PrepareOptions,
  route: PingRoute,
  question: Question,
): Promise<ProbeResult> {
  const result = await probeOnce(route, question, clock, { timeoutMs, signal });
  const { outcome } = result;
  if ("lost" in outcome && outcome.lost !== "timeout" && outcome.lost !== "noAnswer") {
    const failure = route.hopeless(outcome.lost);
    if (failure !== null) throw failure;
  }
  return result;
}
