import { firstWay, isProven, type Way } from "../core/way.ts";
import { formatHostPort } from "../wire/endpoint.ts";
import {
  type AgentControl,
  type AttachEvent,
  type CheckReport,
  ControlError,
  type Endpoint,
  type ExposeByBestWay,
  type ExposeByBestWayOptions,
  type ExposeEvent,
  type UpstreamForwardSpec,
  type WayEvent,
} from "./control.ts";
import { inspectRouter } from "./router/inspect.ts";
import { findVpnGateway } from "./upstream/gateway.ts";
import { UNTOLD_HOST } from "./upstream/state.ts";
import { V } from "./views.ts";

type Exposed = AttachEvent & { readonly event: "exposed" };

/** What it asks of this machine and its network. */
export interface WayMeans {
  readonly inspectRouter: typeof inspectRouter;
  readonly findVpnGateway: typeof findVpnGateway;
}

export const exposeByBestWay: ExposeByBestWay = (options, signal) =>
  chooseWay(options, { inspectRouter, findVpnGateway }, signal);

export async function* chooseWay(
  options: ExposeByBestWayOptions,
  means: WayMeans,
  signal: AbortSignal,
): AsyncGenerator<ExposeEvent> {
  if (yield* tryRouter(options, means, signal)) return;
  if (signal.aborted) return;
  yield tell("relay", "taken", "Visitors come in by the relay instead.");
  yield* options.agent.attach([options.remote], signal);
}

/** Returns true when the router was the way, and has ended. */
async function* tryRouter(
  { upstream, agent, stunServer }: ExposeByBestWayOptions,
  means: WayMeans,
  signal: AbortSignal,
): AsyncGenerator<ExposeEvent, boolean> {
  if (typeof upstream === "string") {
    yield tell("router", "left", upstream);
    return false;
  }
  const { gateway } = upstream.upstream;
  yield tell("router", "trying", "Looking at this machine's router.");
  const { verdict } = await means.inspectRouter({ stunServer, router: gateway, signal });
  const first = firstWay(verdict);
  if (first.way === "relay") {
    yield tell("router", "left", first.why);
    return false;
  }
  if (first.way === "router" || gateway !== null) return yield* tryUpstream(first.way, upstream, agent, signal);
  const found = await means.findVpnGateway(signal);
  if (found === null) {
    yield tell("vpn", "left", NO_VPN_GATEWAY);
    return false;
  }
  const spec: UpstreamForwardSpec = { ...upstream, upstream: { ...upstream.upstream, gateway: found } };
  return yield* tryUpstream("vpn", spec, agent, signal);
}

const NO_VPN_GATEWAY = "Everything leaves through a tunnel, and where its gateway is cannot be guessed.";

async function* tryUpstream(
  way: "router" | "vpn",
  spec: UpstreamForwardSpec,
  agent: AgentControl,
  signal: AbortSignal,
): AsyncGenerator<ExposeEvent, boolean> {
  let isTaken = false;
  for await (const event of agent.attach([spec], signal)) {
    switch (event.event) {
      case "refused":
        yield tell(way, "left", event.message);
        return false;
      case "exposed":
        if (!isTaken) {
          yield tell(way, "trying", `The relay looks whether ${placeOf(event)} is reached from outside.`);
          const proof = await proofFor(agent, event);
          if (signal.aborted) return true;
          yield tell(way, proof.holds ? "taken" : "left", proof.sentence);
          // Leaving the iteration takes the port back.
          if (!proof.holds) return false;
          isTaken = true;
        }
        yield event;
        break;
      case "lost":
      case "counters":
        if (isTaken) yield event;
        break;
      // The link to the relay is nothing to visitors who come in by the router.
      case "down":
      case "up":
        break;
      default:
        event satisfies never;
    }
  }
  return true;
}

interface Proof {
  readonly holds: boolean;
  readonly sentence: string;
}

/** One port of each protocol is looked at: the relay makes few checks a minute. */
async function proofFor(agent: AgentControl, { endpoints }: Exposed): Promise<Proof> {
  const first = (protocol: Endpoint["protocol"]) => endpoints.find((one) => one.protocol === protocol);
  const tried = [first("tcp"), first("udp")].filter((one) => one !== undefined);
  let sentence = "";
  for (const endpoint of tried) {
    const checked = await check(agent, endpoint);
    if (typeof checked !== "string" && isProven(checked)) {
      sentence = checked.sentence;
      continue;
    }
    const away = await relayAway(agent);
    if (away !== null) return { holds: true, sentence: `Nobody outside could look whether it is reached: ${away}` };
    return { holds: false, sentence: typeof checked === "string" ? checked : checked.sentence };
  }
  return { holds: true, sentence };
}

async function check(agent: AgentControl, endpoint: Endpoint): Promise<CheckReport | string> {
  const { protocol, host, port, internalHost, internalPort } = endpoint;
  try {
    return await agent.check({
      // The router's address, which the relay compares with who asks; a router that does not tell it has it found out.
      target: { kind: "port", host: host === UNTOLD_HOST ? null : host, port, protocol },
      payload: null,
      service: internalHost === null || internalPort === null ? null : { host: internalHost, port: internalPort },
    });
  } catch (error) {
    if (error instanceof ControlError && error.kind !== "failed") return error.message;
    throw error;
  }
}

/** Why the relay cannot be reached; null = it can. */
async function relayAway(agent: AgentControl): Promise<string | null> {
  const { link, message } = await agent.status();
  return link === "up" ? null : (message ?? "the relay is away.");
}

function placeOf({ endpoints: [first] }: Exposed): string {
  return first === undefined ? "it" : formatHostPort(first.host, first.port);
}

function tell(via: Way, state: WayEvent["state"], message: string): WayEvent {
  return { event: "way", ...V, via, state, message };
}
