import { resolve } from "node:path";
import type { RoleSight } from "../../core/doctor/data.ts";
import type { Membership } from "../../core/doctor/link.ts";
import { type ProbeResult, probeTcp } from "../../dataplanes/direct/probe.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import { isEnterable, lookAtPath } from "../../os/look.ts";
import type { DataPaths } from "../../os/paths.ts";
import { agentClient, gatewayClient, isRunning, relayClient } from "../../servers/local/client.ts";
import { type Enrolment, openAgentState } from "../../store/agent-state.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { type Config, loadConfig } from "../config/load.ts";
import {
  type AgentStatus,
  ControlError,
  type ForwardInfo,
  type ForwardSpec,
  type GatewayStatus,
  type InspectRouter,
  type RelayStatus,
  type RouterReport,
} from "../control.ts";

/** What the checks look at, each part asked for once. Nothing of it changes anything. */
export interface World {
  readonly paths: DataPaths;
  readonly configPath: string;
  readonly isRoot: boolean;
  /** The data directory of the system's services, when this is another one. */
  readonly systemDir: string | null;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** This user may not look into the data directory. */
  isDenied(): Promise<boolean>;
  config(): Promise<ConfigSight>;
  state(): Promise<StateSight>;
  relay(): Promise<RoleSight<RelayStatus>>;
  agent(): Promise<RoleSight<AgentStatus>>;
  gateway(): Promise<RoleSight<GatewayStatus>>;
  /** Of a role that runs; none when it cannot be asked. */
  forwardsOf(role: "relay" | "agent" | "gateway"): Promise<readonly ForwardInfo[]>;
  /** The relay that this machine's agent belongs to; null = none. */
  relayAddress(): Promise<HostPort | null>;
  /** What its name resolves to; none when it does not, or not in time. */
  relayAddresses(): Promise<readonly string[]>;
  /** A TCP connection to it, closed at once: to the first address that takes one. Null = there is no address. */
  relayProbe(): Promise<ProbeResult | null>;
  isRelaySetUp(): Promise<boolean>;
  isGatewaySetUp(): Promise<boolean>;
  router(): Promise<RouterReport>;
}

/** `config` null: there is a problem with it, as a person is told. */
export type ConfigSight =
  | { readonly config: Config; readonly problem: null }
  | { readonly config: null; readonly problem: string };

export interface StateSight {
  readonly membership: Membership;
  readonly enrolment: Enrolment | null;
  /** What was added to last. */
  readonly forwards: readonly ForwardSpec[];
}

export interface WorldOptions {
  readonly paths: DataPaths;
  readonly configPath: string;
  /** A person named the config file: it must be there. */
  readonly isConfigNamed: boolean;
  readonly isRoot: boolean;
  readonly systemDir: string | null;
  readonly inspectRouter: InspectRouter;
  readonly signal: AbortSignal;
}

/** A process that answers takes milliseconds; one that hangs must not hold up every check that asks it. */
const ANSWER_MS = 3_000;

export function openWorld(options: WorldOptions): World {
  const { paths, configPath, isConfigNamed, isRoot, systemDir, signal } = options;
  const config = once(() => readConfig(configPath, isConfigNamed));
  const state = once(() => readState(paths.directory));
  const relay = once(() => sight("relay", paths.relaySocket, () => relayClient(paths.relaySocket).status()));
  const agent = once(() => sight("agent", paths.agentSocket, () => agentClient(paths.agentSocket).status()));
  const gateway = once(() => sight("gateway", paths.gatewaySocket, () => gatewayClient(paths.gatewaySocket).status()));
  const forwards = {
    relay: once(() => forwardsIf(relay, () => relayClient(paths.relaySocket).listForwards())),
    agent: once(() => forwardsIf(agent, () => agentClient(paths.agentSocket).listForwards())),
    gateway: once(() => forwardsIf(gateway, () => gatewayClient(paths.gatewaySocket).listForwards())),
  };
  const relayAddress = async () =>
    (await config()).config?.file.agent?.relay ?? (await state()).enrolment?.relay ?? null;
  const relayAddresses = once(async () => {
    const host = (await relayAddress())?.host;
    return host === undefined ? [] : inTime(systemResolver().resolve(host), RESOLVE_MS, () => []);
  });
  return {
    paths,
    configPath,
    isRoot,
    systemDir,
    signal,
    isDenied: once(async () => {
      const { kind } = await lookAtPath(paths.directory);
      return kind === "denied" || (kind === "directory" && !(await isEnterable(paths.directory)));
    }),
    config,
    state,
    relay,
    agent,
    gateway,
    forwardsOf: (role) => forwards[role](),
    relayAddress,
    relayAddresses,
    relayProbe: once(async () => firstOpen(await relayAddresses(), (await relayAddress())?.port ?? 0, signal)),
    isRelaySetUp: async () =>
      (await config()).config?.file.relay !== undefined || (await isThere(paths.relayCertificate)),
    isGatewaySetUp: async () =>
      (await config()).config?.file.gateway !== undefined || (await isThere(paths.privileged)),
    router: once(async () => options.inspectRouter({ stunServer: await relayAddress(), router: null, signal })),
  };
}

/** Without a network the system's resolver takes half a minute to give up. */
const RESOLVE_MS = 5_000;
/** A relay across the world on a bad line answers a SYN within this, retransmitted once. */
const CONNECT_MS = 4_000;
/** An IPv4 and an IPv6 address, say. */
const MAX_ADDRESSES = 3;
/** What connecting to the relay takes at most. */
export const RELAY_PROBE_MS = MAX_ADDRESSES * CONNECT_MS;

async function firstOpen(addresses: readonly string[], port: number, signal: AbortSignal): Promise<ProbeResult | null> {
  let last: ProbeResult | null = null;
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    last = await probeTcp({ address, port, deadlineMs: CONNECT_MS, holdMs: 0, signal });
    if (last.saw === "open") return last;
  }
  return last;
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => {
    asked ??= ask();
    return asked;
  };
}

/** False too when this user may not look. */
export async function isThere(path: string): Promise<boolean> {
  const { kind } = await lookAtPath(path);
  return kind !== "missing" && kind !== "denied";
}

async function readConfig(path: string, isNamed: boolean): Promise<ConfigSight> {
  try {
    return { config: await loadConfig(resolve(path), isNamed), problem: null };
  } catch (error) {
    if (error instanceof ControlError) return { config: null, problem: error.message };
    throw error;
  }
}

async function readState(directory: string): Promise<StateSight> {
  const opened = await openAgentState(directory);
  if (!opened.ok) {
    const membership = { kind: "unreadable", message: opened.error.message } as const;
    return { membership, enrolment: null, forwards: [] };
  }
  const enrolment = opened.value.enrolment();
  const forwards = opened.value.forwards();
  if (enrolment === null) return { membership: { kind: "none" }, enrolment, forwards };
  const { relay, deviceName } = enrolment;
  const membership = { kind: "joined", relay: formatHostPort(relay.host, relay.port), deviceName } as const;
  return { membership, enrolment, forwards };
}

async function sight<S>(
  role: "relay" | "agent" | "gateway",
  path: string,
  ask: () => Promise<S>,
): Promise<RoleSight<S>> {
  try {
    const answer = (async (): Promise<RoleSight<S>> =>
      (await isRunning(role, path)) ? { kind: "runs", status: await ask() } : { kind: "none" })();
    return await inTime(answer, ANSWER_MS, () => ({
      kind: "odd",
      message: `it does not answer within ${ANSWER_MS / 1_000} s`,
    }));
  } catch (error) {
    if (error instanceof ControlError) return { kind: "odd", message: error.message };
    throw error;
  }
}

async function forwardsIf(
  role: () => Promise<RoleSight<unknown>>,
  list: () => Promise<readonly ForwardInfo[]>,
): Promise<readonly ForwardInfo[]> {
  if ((await role()).kind !== "runs") return [];
  return inTime(list(), ANSWER_MS, () => {
    throw new ControlError("unreachable", "what runs here does not list its forwards.");
  });
}

/** What `late` gives, or throws, when there is no answer in time. */
async function inTime<T>(answer: Promise<T>, limitMs: number, late: () => T): Promise<T> {
  const over = Promise.withResolvers<null>();
  const timer = setTimeout(over.resolve, limitMs, null);
  const first = await Promise.race([answer.then((value) => ({ value })), over.promise]);
  clearTimeout(timer);
  return first === null ? late() : first.value;
}
