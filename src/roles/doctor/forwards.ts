import type { RoleSight } from "../../core/doctor/data.ts";
import { judgeForwards, judgeServices, judgeStates, type ServiceFacts } from "../../core/doctor/forwards.ts";
import { type Judgement, skipped } from "../../core/doctor/model.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { agentClient } from "../../servers/local/client.ts";
import { formatHostPort } from "../../wire/endpoint.ts";
import { askingWith, dialService } from "../check/dial.ts";
import type { ForwardInfo } from "../control.ts";
import type { Check } from "./checks.ts";
import type { World } from "./world.ts";

/** All at once, and each of them costs the relay and the service a connection. */
const MAX_SERVICES = 8;
/** A check of a forward takes ten seconds at most. */
const SERVICES_MS = 15_000;
/** Why there are no forwards to look at. */
function noAgent(agent: RoleSight<unknown>): Judgement {
  return skipped(
    agent.kind === "odd" ? "The agent here cannot be asked." : "No agent runs here, and so no forwards of it.",
  );
}

export const FORWARD_CHECKS: readonly Check[] = [
  {
    id: "forward",
    section: "forwards",
    doing: "Asking the agent for its forwards",
    look: async (world) => {
      const agent = await world.agent();
      if (agent.kind !== "runs") return noAgent(agent);
      const forwards = await world.forwardsOf("agent");
      const counted = judgeForwards(forwards, "The agent here has no forwards.");
      const { link } = agent.status;
      return [counted, ...judgeStates(forwards, link === "up" || link === "none")];
    },
  },
  {
    id: "service",
    section: "forwards",
    doing: "Connecting to the services behind the forwards",
    limitMs: SERVICES_MS,
    look: async (world, signal) => {
      const agent = await world.agent();
      if (agent.kind !== "runs") return noAgent(agent);
      const leading = (await world.forwardsOf("agent")).filter(leadsFromHere);
      const looked = leading.slice(0, MAX_SERVICES);
      const linkUp = agent.status.link === "up";
      const facts = await Promise.all(looked.map((forward) => serviceFacts(world, forward, linkUp, signal)));
      return judgeServices(facts, leading.length - looked.length);
    },
  },
];

/** Open, and this machine itself dials what is behind it. */
function leadsFromHere({ state, type, endpoints }: ForwardInfo): boolean {
  return state === "open" && (type === "remote" || type === "direct") && endpoints[0]?.internalHost != null;
}

/**
 * The service of the first port, and for a relay's forward the way to it from outside, as `hatchway check` tries it. Where
 * nothing listens that is left out: the check would take the port itself for a while, and doctor opens none.
 */
async function serviceFacts(
  world: World,
  { name, id, type, endpoints }: ForwardInfo,
  linkUp: boolean,
  signal: AbortSignal,
): Promise<ServiceFacts> {
  const [endpoint] = endpoints;
  const port = endpoint?.internalPort ?? endpoint?.port ?? 0;
  const host = endpoint?.internalHost ?? "127.0.0.1";
  const protocol = endpoint?.protocol ?? "tcp";
  const asking = askingWith({ protocol, port, payload: null, resolver: systemResolver(), signal });
  const saw = await dialService(asking, { host, port });
  const at = `${formatHostPort(host, port)}/${protocol}`;
  const answers = saw === "open" || saw === "ended" || saw === "silent";
  if (type !== "remote" || !linkUp || !answers) return { name, at, saw, way: null };
  const report = await agentClient(world.paths.agentSocket).check({
    target: { kind: "name", name: id },
    payload: null,
    service: null,
  });
  return { name, at, saw, way: report };
}
