import { openAgentState } from "../store/agent-state.ts";
import type { HostPort } from "../wire/endpoint.ts";
import { ControlError } from "./control.ts";

/** The relay that the agent of this data directory joined, at its agent port; null = none. */
export async function joinedRelay(dataDir: string): Promise<HostPort | null> {
  const state = await openAgentState(dataDir);
  if (!state.ok) throw new ControlError("failed", state.error.message, { cause: state.error.cause });
  return state.value.enrolment()?.relay ?? null;
}
