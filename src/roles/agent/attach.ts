import { same } from "../../core/same.ts";
import { type AttachEvent, ControlError, type ForwardSpec } from "../control.ts";
import { EventQueue } from "../event-queue.ts";
import { V } from "../views.ts";
import { countersOfAll } from "./counters.ts";
import { idOf } from "./forwards.ts";
import { nameOf } from "./info.ts";
import type { LinkState } from "./link.ts";
import { outcomeEvent } from "./outcome.ts";
import type { AgentView } from "./view.ts";

const COUNTERS_MS = 1_000;

/** Events for one foreground command: a reader who lags behind gets the latest counters only. */
export function attachQueue(): EventQueue<AttachEvent> {
  return new EventQueue<AttachEvent>((next, last) => next.event === "counters" && last.event === "counters");
}

/** Forwards that live as long as a command (`AgentControl.attach`). */
export async function* attach(
  agent: AgentView,
  specs: readonly ForwardSpec[],
  signal: AbortSignal,
): AsyncGenerator<AttachEvent> {
  const queue = attachQueue();
  const attached = new Map<string, { readonly spec: ForwardSpec; told: AttachEvent | null }>();
  const tell = (id: string) => {
    const one = attached.get(id);
    const held = agent.forwards.get(id);
    const event = one === undefined || held === undefined ? null : outcomeEvent(one.spec, held);
    if (one === undefined || event === null || same(event, one.told)) return;
    one.told = event;
    queue.push(event);
    if (event.event !== "refused") return;
    attached.delete(id);
    agent.forwards.remove(id);
    if (attached.size === 0) queue.end();
  };
  // Within the abort itself: the ports close at once, however slow the reader is.
  const end = () => {
    queue.end();
    for (const id of attached.keys()) agent.forwards.remove(id);
    attached.clear();
  };
  const stops = [agent.watchForwards(tell), agent.watchLink((state) => tellLink(queue, state))];
  signal.addEventListener("abort", end, { once: true });
  agent.ended.addEventListener("abort", end, { once: true });
  let timer: Timer | null = null;
  try {
    for (const spec of specs) {
      if (agent.forwards.get(idOf(spec)) !== undefined || attached.has(idOf(spec))) queue.push(taken(spec));
      else attached.set(idOf(spec), { spec, told: null });
    }
    if (signal.aborted || agent.ended.aborted) end();
    if (attached.size === 0) queue.end();
    // All at once: a thousand forwards cost one round trip.
    Promise.all([...attached.values()].map(({ spec }) => agent.forwards.put(spec, "cli", true))).catch(
      (error: unknown) => queue.fail(error),
    );
    timer = countEvery(agent, queue, () => [...attached.keys()], tell);
    yield* queue;
    if (agent.ended.aborted && !signal.aborted) throw new ControlError("unreachable", "The agent was stopped.");
  } finally {
    if (timer !== null) clearInterval(timer);
    for (const stop of stops) stop();
    signal.removeEventListener("abort", end);
    agent.ended.removeEventListener("abort", end);
    end();
  }
}

function taken(spec: ForwardSpec): AttachEvent {
  const message = `This agent runs "${nameOf(spec)}" already: end that first, or give this one another name.`;
  return { event: "refused", ...V, id: idOf(spec), name: nameOf(spec), kind: "conflict", message };
}

function tellLink(queue: EventQueue<AttachEvent>, state: LinkState): void {
  if (state.kind === "up") queue.push({ event: "up", ...V, rttMs: state.session.measuredRttMs });
  else if (state.kind === "down")
    queue.push({ event: "down", ...V, message: state.message, retryInMs: state.retryInMs });
  else if (state.kind === "rejected") queue.push({ event: "down", ...V, message: state.message, retryInMs: null });
}

/** `tell`: what keeps its visitors away may be something else now. */
function countEvery(
  agent: AgentView,
  queue: EventQueue<AttachEvent>,
  ids: () => readonly string[],
  tell: (id: string) => void,
): Timer {
  let asking = false;
  return setInterval(() => {
    // The relay takes its time: one question at a time is enough.
    if (asking) return;
    asking = true;
    tellCounters(agent, queue, ids())
      .then(() => ids().forEach(tell))
      .catch((error: unknown) => queue.fail(error))
      .finally(() => {
        asking = false;
      });
  }, COUNTERS_MS);
}

async function tellCounters(agent: AgentView, queue: EventQueue<AttachEvent>, ids: readonly string[]): Promise<void> {
  const held = ids.flatMap((id) => {
    const one = agent.forwards.get(id);
    return one === undefined ? [] : ([[id, one]] as const);
  });
  const counted = await countersOfAll(agent, held);
  const link = agent.link();
  queue.push({
    event: "counters",
    ...V,
    atMs: agent.wallMs(),
    rttMs: link.kind === "up" ? link.session.measuredRttMs : null,
    forwards: [...counted].map(([id, one]) => ({ id, ...one })),
  });
}
