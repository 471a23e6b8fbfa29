import type { AgentControl } from "../roles/control.ts";
import { type HostPort, parseHostPort } from "../wire/endpoint.ts";
import type { Context } from "./context.ts";
import { findPlace } from "./data-dir.ts";

/**
 * Runs `use` with the agent of --data: the one that runs, or else one of this process that opens nothing but what it
 * is asked for and ends with `use`.
 */
export async function withAgent(context: Context, use: (agent: AgentControl) => Promise<void>): Promise<void> {
  const { agentClient, isRunning } = await import("../servers/local/client.ts");
  const place = await findPlace(context, "agent");
  if (await isRunning("agent", place.paths.agentSocket)) {
    await use(agentClient(place.paths.agentSocket));
    return;
  }
  // The view tells of the link in a sentence, and a log line between its lines would tear it.
  if (!context.options.json && !context.options.verbose) await context.io.startLog("error");
  const { agentSettings } = await import("../roles/config/load.ts");
  const startAgent = await context.io.roles.agent();
  const agent = await startAgent({
    dataDir: place.paths.directory,
    joinCode: null,
    readSettings: async () => agentSettings(await place.readConfig()),
    runListed: false,
  });
  try {
    await Promise.race([use(agent), agent.closed]);
  } finally {
    await agent.stop({ drainMs: 0 });
    // An agent that could not go on (revoked, say) rejects here, and its reason counts more than what followed from it.
    await agent.closed;
  }
}

/** The relay of the agent of --data, whether that runs or not; null = it has none. */
export async function joinedRelayOf(context: Context): Promise<HostPort | null> {
  const { agentClient, isRunning } = await import("../servers/local/client.ts");
  const place = await findPlace(context, "agent");
  if (await isRunning("agent", place.paths.agentSocket)) {
    const { relay } = await agentClient(place.paths.agentSocket).status();
    const parsed = relay === null ? null : parseHostPort(relay);
    return parsed?.ok === true ? parsed.value : null;
  }
  const { joinedRelay } = await import("../roles/joined.ts");
  const relay = (await place.readConfig()).file.agent?.relay;
  const joined = await joinedRelay(place.paths.directory);
  return joined === null ? null : (relay ?? joined);
}
