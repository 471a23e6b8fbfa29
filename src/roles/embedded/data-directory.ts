import { readDeviceSeed } from "../../os/device-key.ts";
import { openAgentState } from "../../store/agent-state.ts";
import type { DeviceIdentity } from "../../wire/device-identity.ts";
import { err, ok, type Result } from "../../wire/result.ts";

/** Who an agent's data directory is at its relay. The error is one sentence that says what to do. */
export async function readIdentity(directory: string): Promise<Result<DeviceIdentity, string>> {
  const state = await openAgentState(directory);
  if (!state.ok) return err(state.error.message);
  const seed = await readDeviceSeed(directory);
  if (!seed.ok) return err(seed.error.message);
  const enrolment = state.value.enrolment();
  if (enrolment === null || seed.value === null) {
    return err(
      `${directory} is of no agent that has joined a relay: name another directory, or enrol with a join code.`,
    );
  }
  return ok({ ...enrolment, seed: seed.value });
}
