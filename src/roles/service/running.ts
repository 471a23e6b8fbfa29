import type { ServiceRole } from "../../core/service/model.ts";
import { dataPaths } from "../../os/paths.ts";
import { agentClient, gatewayClient, relayClient } from "../../servers/local/client.ts";
import { ControlError } from "../../servers/local/control.ts";

export interface RunningProgram {
  readonly pid: number;
  readonly version: string;
}

/** What runs with a data directory, as it says itself; null = nothing answers this user there. */
export async function runningProgram(role: ServiceRole, dataDir: string): Promise<RunningProgram | null> {
  const { relaySocket, agentSocket, gatewaySocket } = dataPaths(dataDir);
  const ask = {
    relay: () => relayClient(relaySocket).status(),
    agent: () => agentClient(agentSocket).status(),
    gateway: () => gatewayClient(gatewaySocket).status(),
  } satisfies Record<ServiceRole, () => Promise<RunningProgram>>;
  try {
    const { pid, version } = await ask[role]();
    return { pid, version };
  } catch (error) {
    if (error instanceof ControlError) return null;
    throw error;
  }
}

/** The process that has the role there and is not the service's own; null = there is none. */
export async function runningOutside(role: ServiceRole, dataDir: string, servicePid: number | null) {
  const found = await runningProgram(role, dataDir);
  return found === null || found.pid === servicePid ? null : found.pid;
}
