import { residentBytes } from "../../os/memory.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { changed } from "../change.ts";
import {
  type AddReply,
  type AgentControl,
  type AgentStatus,
  ControlError,
  type ForwardInfo,
  type ForwardPatch,
  type ForwardSpec,
  type VisitInfo,
} from "../control.ts";
import { byAge, countersOf, sumCounters, V, visitInfos } from "../views.ts";
import { attach } from "./attach.ts";
import { check } from "./check.ts";
import { countersOfAll } from "./counters.ts";
import { idOf } from "./forwards.ts";
import type { Held } from "./held.ts";
import { countersOfHeld, forwardInfo, nameOf, specOf } from "./info.ts";
import { outcomeEvent } from "./outcome.ts";
import { ping } from "./ping.ts";
import { reload } from "./reload.ts";
import type { AgentView } from "./view.ts";

/** What local commands may ask a running agent. */
export function agentControl(agent: AgentView): AgentControl {
  return {
    status: () => status(agent),
    listForwards: () => listForwards(agent),
    addForward: (spec, { lasting }) => addForward(agent, spec, lasting),
    changeForward: (idOrName, patch) => changeForward(agent, idOrName, patch),
    removeForward: (idOrName) => removeForward(agent, idOrName),
    check: (request) => check(agent, request),
    reload: () => reload(agent),
    visits: async () => visits(agent),
    attach: (specs, signal) => attach(agent, specs, signal),
    ping: (request, signal) => ping(agent, request, signal),
  };
}

async function listForwards(agent: AgentView): Promise<ForwardInfo[]> {
  const held = [...agent.forwards.list()];
  const counted = await countersOfAll(agent, held);
  return held.map(([id, one]) => forwardInfo(one, counted.get(id) ?? countersOfHeld(one)));
}

async function status(agent: AgentView): Promise<AgentStatus> {
  const forwards = await listForwards(agent);
  const link = agent.link();
  const up = link.kind === "up" ? link : null;
  const relay = agent.relay();
  return {
    role: "agent",
    ...V,
    version: agent.version,
    pid: process.pid,
    startedMs: agent.startedMs,
    memoryBytes: residentBytes(),
    forwardsOpen: forwards.filter(({ state }) => state === "open").length,
    counters: sumCounters([
      ...forwards.map((forward) => forward.counters),
      agent.forwards.retired,
      countersOf(agent.dialled.counters),
    ]),
    name: agent.deviceName(),
    deviceId: agent.deviceId,
    relay: relay === null ? null : formatHostPort(relay.host, relay.port),
    link: link.kind === "rejected" ? "down" : link.kind,
    message: link.kind === "down" || link.kind === "rejected" ? link.message : null,
    connectedMs: up?.sinceMs ?? null,
    rttMs: up?.session.measuredRttMs ?? null,
    carriers: up?.session.carrierCount ?? 0,
    ignored: agent.ignored(),
    relayVersion: up?.welcome.version ?? null,
    relayTimeMs: up === null || up.relayClockMs === null ? null : Math.round(up.relayClockMs + agent.nowMs()),
  };
}

function visits(agent: AgentView): VisitInfo[] {
  const all = [...agent.forwards.list()].flatMap(([id, held]) => {
    if (held.kind === "upstream") return [];
    const open = held.kind === "remote" ? held.forward.visits : held.forward?.entry.visits;
    return open === undefined ? [] : visitInfos(open, { id, name: nameOf(specOf(held)), device: null });
  });
  const dialled = visitInfos(agent.dialled, { id: "dials", name: "dials", device: null });
  return [...all, ...dialled].sort(byAge);
}

async function addForward(agent: AgentView, spec: ForwardSpec, lasting: boolean): Promise<AddReply> {
  const id = idOf(spec);
  const present = agent.forwards.get(id);
  if (present?.origin === "config") {
    throw new ControlError("usage", `"${nameOf(spec)}" is listed in hatchway.toml: change it there.`);
  }
  if (present?.origin === "api") throw ofTheRelay(nameOf(spec));
  if (present?.attached === true) throw ofACommand(nameOf(spec));
  if (needsRelay(spec) && agent.link().kind === "none") {
    throw new ControlError("usage", "This agent runs without a relay: join one, and start it without --no-relay.");
  }
  const before = present === undefined ? null : specOf(present);
  const undo = async () => {
    if (before === null) agent.forwards.remove(id);
    else await agent.forwards.put(before, "cli", false);
  };
  const held = await agent.forwards.put(spec, "cli", false);
  const outcome = outcomeEvent(spec, held);
  if (outcome?.event === "refused") {
    await undo();
    throw new ControlError(outcome.kind === "policy" ? "refused" : "failed", outcome.message);
  }
  if (lasting) {
    const stored = await agent.state.put(spec);
    if (!stored.ok) {
      await undo();
      throw new ControlError("failed", stored.error.message, { cause: stored.error.cause });
    }
  }
  return { ...V, forward: forwardInfo(held, countersOfHeld(held)) };
}

function needsRelay(spec: ForwardSpec): boolean {
  return spec.kind === "remote" || (spec.kind === "local" && spec.local.via.kind !== "here");
}

function ofTheRelay(name: string): ControlError {
  return new ControlError(
    "usage",
    `"${name}" was set at the relay: change it there, or start the agent with --no-managed.`,
  );
}

function ofACommand(name: string): ControlError {
  return new ControlError("usage", `"${name}" belongs to a command that is running: end that command instead.`);
}

async function changeForward(agent: AgentView, idOrName: string, patch: ForwardPatch): Promise<AddReply> {
  const [, held] = ownForward(agent, idOrName, "change");
  const present = specOf(held);
  if (present.kind !== "remote") {
    throw new ControlError("usage", `"${idOrName}" is no port of the relay: remove it, and open it as it should be.`);
  }
  const { spec: remote, to } = await changed({ spec: present.remote, to: present.to }, patch);
  return await addForward(agent, { ...present, remote, to }, true);
}

async function removeForward(agent: AgentView, idOrName: string): Promise<ForwardInfo> {
  const [id, held] = ownForward(agent, idOrName, "remove");
  const info = forwardInfo(held, countersOfHeld(held));
  const stored = await agent.state.remove(id);
  if (!stored.ok) throw new ControlError("failed", stored.error.message, { cause: stored.error.cause });
  agent.forwards.remove(id);
  await agent.forwards.withdrawn();
  return info;
}

/** The one that is meant, if local commands may do that to it. Throws ControlError `usage`. */
function ownForward(agent: AgentView, idOrName: string, doing: "change" | "remove"): readonly [string, Held] {
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
  const [, held] = match;
  if (held.origin === "config") {
    throw new ControlError("usage", `"${idOrName}" is listed in hatchway.toml: ${doing} it there, then reload.`);
  }
  if (held.origin === "api") throw ofTheRelay(idOrName);
  if (held.attached) throw ofACommand(idOrName);
  return match;
}
