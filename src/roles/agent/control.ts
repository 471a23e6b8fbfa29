import { same } from "../../core/same.ts";
import type { Visits } from "../../dataplanes/io/visits.ts";
import type { AgentState } from "../../store/agent-state.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import {
  type AddReply,
  type AgentControl,
  type AgentSettings,
  type AgentStatus,
  type AttachEvent,
  ControlError,
  type Counters,
  type ForwardInfo,
  type ForwardSpec,
  type ReloadReport,
  type VisitInfo,
} from "../control.ts";
import { countersOf, sumCounters, V, visitInfos } from "../views.ts";
import { EventQueue, mergeRefused, outcomeEvent } from "./attach.ts";
import { type AgentForwards, type Held, idOf } from "./forwards.ts";
import { countersOfHeld, forwardInfo, nameOf, specOf } from "./info.ts";
import type { LinkState } from "./link.ts";
import type { Requests } from "./requests.ts";

const COUNTERS_MS = 1_000;
/** The relay answers for this many forwards at once (control.ts of the wire). */
const STATS_AT_ONCE = 1_000;

export interface AgentView {
  readonly forwards: AgentForwards;
  readonly dialled: Visits;
  readonly state: AgentState;
  readonly deviceId: string;
  readonly version: string;
  readonly startedMs: number;
  /** Aborted when the agent stops. */
  readonly ended: AbortSignal;
  requests(): Requests | null;
  link(): LinkState;
  relay(): HostPort;
  deviceName(): string;
  wallMs(): number;
  settings(): AgentSettings;
  /** Reads the config again and takes it; resolves with the settings before. */
  reload(): Promise<AgentSettings>;
  watchLink(watch: (state: LinkState) => void): () => void;
  watchForwards(watch: (id: string) => void): () => void;
}

/** What local commands may ask a running agent. */
export function agentControl(agent: AgentView): AgentControl {
  return {
    status: () => status(agent),
    listForwards: () => listForwards(agent),
    addForward: (spec, { lasting }) => addForward(agent, spec, lasting),
    removeForward: (idOrName) => removeForward(agent, idOrName),
    reload: () => reload(agent),
    visits: async () => visits(agent),
    attach: (specs, signal) => attach(agent, specs, signal),
  };
}

/** The relay's own refusals (source not allowed, limits) are not seen by the agent: it is asked for them. */
async function refusedAtRelay(agent: AgentView, ids: readonly string[]): Promise<Map<string, Record<string, number>>> {
  const found = new Map<string, Record<string, number>>();
  for (let at = 0; at < ids.length; at += STATS_AT_ONCE) {
    const answer = await agent.requests()?.ask({ t: "stats", ids: ids.slice(at, at + STATS_AT_ONCE) });
    if (answer?.kind !== "stats") continue;
    for (const { id, refused } of answer.forwards) found.set(id, refused);
  }
  return found;
}

async function counters(agent: AgentView, held: readonly (readonly [string, Held])[]): Promise<Map<string, Counters>> {
  const remote = held.filter(([, { kind }]) => kind === "remote").map(([id]) => id);
  const atRelay = await refusedAtRelay(agent, remote);
  return new Map(held.map(([id, one]) => [id, mergeRefused(countersOfHeld(one), atRelay.get(id) ?? {})]));
}

async function listForwards(agent: AgentView): Promise<ForwardInfo[]> {
  const held = [...agent.forwards.list()];
  const counted = await counters(agent, held);
  return held.map(([id, one]) => forwardInfo(one, counted.get(id) ?? countersOfHeld(one)));
}

async function status(agent: AgentView): Promise<AgentStatus> {
  const forwards = await listForwards(agent);
  const link = agent.link();
  const up = link.kind === "up" ? link : null;
  return {
    role: "agent",
    ...V,
    version: agent.version,
    pid: process.pid,
    startedMs: agent.startedMs,
    memoryBytes: process.memoryUsage.rss(),
    forwardsOpen: forwards.filter(({ state }) => state === "open").length,
    counters: sumCounters([...forwards.map((forward) => forward.counters), countersOf(agent.dialled.counters)]),
    name: agent.deviceName(),
    deviceId: agent.deviceId,
    relay: formatHostPort(agent.relay().host, agent.relay().port),
    link: link.kind === "up" ? "up" : link.kind === "connecting" ? "connecting" : "down",
    message: link.kind === "down" || link.kind === "rejected" ? link.message : null,
    connectedMs: up?.sinceMs ?? null,
    rttMs: up?.session.rttMs ?? null,
    carriers: up?.session.carrierCount ?? 0,
  };
}

function visits(agent: AgentView): VisitInfo[] {
  const all = [...agent.forwards.list()].flatMap(([id, held]) => {
    const open = held.kind === "remote" ? held.forward.visits : held.forward?.entry.visits;
    return open === undefined ? [] : visitInfos(open, { id, name: nameOf(specOf(held)), device: null });
  });
  const dialled = visitInfos(agent.dialled, { id: "dials", name: "dials", device: null });
  return [...all, ...dialled].sort((a, b) => a.openedMs - b.openedMs);
}

async function addForward(agent: AgentView, spec: ForwardSpec, lasting: boolean): Promise<AddReply> {
  const id = idOf(spec);
  const present = agent.forwards.get(id);
  if (present?.origin === "config") {
    throw new ControlError("usage", `"${nameOf(spec)}" is listed in hatchway.toml: change it there.`);
  }
  const before = present === undefined ? null : specOf(present);
  const held = await agent.forwards.put(spec, "cli", false);
  const outcome = outcomeEvent(spec, held);
  if (outcome?.event === "refused") {
    if (before === null) agent.forwards.remove(id);
    else await agent.forwards.put(before, "cli", false);
    throw new ControlError(outcome.kind === "policy" ? "refused" : "failed", outcome.message);
  }
  if (lasting) {
    const stored = await agent.state.put(spec);
    if (!stored.ok) {
      agent.forwards.remove(id);
      throw new ControlError("failed", stored.error.message, { cause: stored.error.cause });
    }
  }
  return { ...V, forward: forwardInfo(held, countersOfHeld(held)) };
}

async function removeForward(agent: AgentView, idOrName: string): Promise<ForwardInfo> {
  const matches = [...agent.forwards.list()].filter(
    ([id, held]) => id === idOrName || nameOf(specOf(held)) === idOrName,
  );
  const [match] = matches;
  if (match === undefined) {
    throw new ControlError("usage", `There is no forward "${idOrName}": "hatchway forward ls" lists them.`);
  }
  if (matches.length > 1) {
    const ids = matches.map(([id]) => id).join(", ");
    throw new ControlError("usage", `Several forwards are called "${idOrName}": name one by its id (${ids}).`);
  }
  const [id, held] = match;
  if (held.origin === "config") {
    throw new ControlError("usage", `"${idOrName}" is listed in hatchway.toml: remove it there, then reload.`);
  }
  if (held.attached) {
    throw new ControlError("usage", `"${idOrName}" belongs to a command that is running: end that command instead.`);
  }
  const info = forwardInfo(held, countersOfHeld(held));
  const stored = await agent.state.remove(id);
  if (!stored.ok) throw new ControlError("failed", stored.error.message, { cause: stored.error.cause });
  agent.forwards.remove(id);
  return info;
}

async function reload(agent: AgentView): Promise<ReloadReport> {
  const before = await agent.reload();
  const after = agent.settings();
  const wanted = new Map(after.forwards.map((spec) => [idOf(spec), spec]));
  const removed: string[] = [];
  const added: string[] = [];
  const changed: string[] = [];
  const refused: string[] = [];
  let unchanged = 0;
  for (const spec of before.forwards) {
    const held = agent.forwards.get(idOf(spec));
    if (wanted.has(idOf(spec)) || held?.origin !== "config") continue;
    agent.forwards.remove(idOf(spec));
    removed.push(nameOf(spec));
  }
  for (const [id, spec] of wanted) {
    const present = agent.forwards.get(id);
    if (present !== undefined && same(specOf(present), spec)) {
      unchanged++;
      continue;
    }
    const held = await agent.forwards.put(spec, "config", false);
    (present === undefined ? added : changed).push(nameOf(spec));
    const outcome = outcomeEvent(spec, held);
    if (outcome?.event === "refused") refused.push(outcome.message);
  }
  const needRestart = before.name === after.name ? [] : ["agent.name"];
  return { ...V, added, changed, removed, unchanged, refused, needRestart };
}

async function* attach(
  agent: AgentView,
  specs: readonly ForwardSpec[],
  signal: AbortSignal,
): AsyncGenerator<AttachEvent> {
  const queue = new EventQueue();
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
  const stops = [agent.watchForwards(tell), agent.watchLink((state) => tellLink(queue, state))];
  const end = () => queue.end();
  signal.addEventListener("abort", end, { once: true });
  agent.ended.addEventListener("abort", end, { once: true });
  let timer: Timer | null = null;
  try {
    for (const spec of specs) {
      if (agent.forwards.get(idOf(spec)) !== undefined) {
        queue.push(taken(spec));
        continue;
      }
      attached.set(idOf(spec), { spec, told: null });
    }
    if (attached.size === 0) queue.end();
    // All at once: a thousand forwards cost one round trip.
    void Promise.all([...attached.values()].map(({ spec }) => agent.forwards.put(spec, "cli", true)));
    timer = setInterval(() => {
      void tellCounters(agent, queue, [...attached.keys()]);
    }, COUNTERS_MS);
    yield* queue;
    if (agent.ended.aborted && !signal.aborted) throw new ControlError("unreachable", "The agent was stopped.");
  } finally {
    if (timer !== null) clearInterval(timer);
    for (const stop of stops) stop();
    signal.removeEventListener("abort", end);
    agent.ended.removeEventListener("abort", end);
    for (const id of attached.keys()) agent.forwards.remove(id);
  }
}

function taken(spec: ForwardSpec): AttachEvent {
  const message = `This agent runs "${nameOf(spec)}" already: end that first, or give this one another name.`;
  return { event: "refused", ...V, id: idOf(spec), name: nameOf(spec), kind: "conflict", message };
}

function tellLink(queue: EventQueue, state: LinkState): void {
  if (state.kind === "up") queue.push({ event: "up", ...V, rttMs: state.session.rttMs });
  else if (state.kind === "down")
    queue.push({ event: "down", ...V, message: state.message, retryInMs: state.retryInMs });
  else if (state.kind === "rejected") queue.push({ event: "down", ...V, message: state.message, retryInMs: null });
}

async function tellCounters(agent: AgentView, queue: EventQueue, ids: readonly string[]): Promise<void> {
  const held = ids.flatMap((id) => {
    const one = agent.forwards.get(id);
    return one === undefined ? [] : ([[id, one]] as const);
  });
  const counted = await counters(agent, held);
  const link = agent.link();
  queue.push({
    event: "counters",
    ...V,
    atMs: agent.wallMs(),
    rttMs: link.kind === "up" ? link.session.rttMs : null,
    forwards: [...counted].map(([id, one]) => ({ id, ...one })),
  });
}
