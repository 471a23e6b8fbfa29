import type { Visits } from "../../dataplanes/io/visits.ts";
import type { AgentState } from "../../store/agent-state.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { CheckMeans } from "../check/means.ts";
import type { AgentSettings, IgnoredCount } from "../control.ts";
import type { AgentForwards } from "./forwards.ts";
import type { LinkState } from "./link.ts";
import type { Requests } from "./requests.ts";

/** An agent as the answers to local commands see it. */
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
  /** Null = it has none. */
  relay(): HostPort | null;
  deviceName(): string;
  wallMs(): number;
  /** Monotonic. */
  nowMs(): number;
  /** False: only what is attached runs here, and what is listed stays as it is on the relay. */
  readonly runListed: boolean;
  settings(): AgentSettings;
  /** What came where routers answer, and was no answer of theirs. */
  ignored(): readonly IgnoredCount[];
  readonly checkMeans: CheckMeans;
  /** Reads the config again and takes it; resolves with the settings before. */
  reload(): Promise<AgentSettings>;
  watchLink(watch: (state: LinkState) => void): () => void;
  watchForwards(watch: (id: string) => void): () => void;
}
