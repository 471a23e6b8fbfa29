import type { HeldForward } from "../../core/held.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { ForwardState } from "../control.ts";
import type { RelayForwards } from "./forwards.ts";

/** A relay is never without itself: no forward waits for it. */
export type RelayForwardState = Exclude<ForwardState, "waiting">;

/** What a forward of a relay is now, and why it is not open. */
export function forwardState(
  forward: HeldForward,
  forwards: Pick<RelayForwards, "entryOf">,
  sessionOf: (device: string) => Session | undefined,
): { readonly state: RelayForwardState; readonly message: string | null } {
  const { owner, spec } = forward;
  if (!spec.enabled) return { state: "disabled", message: "Its owner has disabled it." };
  const shared = forwards.entryOf(forward);
  const member = shared?.members.get(owner.device);
  if (shared === undefined || member === undefined) {
    return { state: "refused", message: "Its ports could not be opened on the relay; see the relay's log." };
  }
  if (sessionOf(owner.device) === undefined) {
    return { state: "away", message: "Its device is not connected; the ports are reserved for it." };
  }
  if (member.handle === null) {
    return { state: "away", message: "Its device is connected but has not taken it back; see the agent's status." };
  }
  if (!member.healthy) return { state: "unhealthy", message: "The service behind it fails its health check." };
  return { state: "open", message: null };
}
