import type { HeldForward } from "../../core/held.ts";
import { certificateTrouble, type SiteCertificate, type Trouble } from "../../core/names/certificates.ts";
import type { ForwardState } from "../control.ts";
import type { LinkOf } from "./device-link.ts";
import type { RelayForwards } from "./forwards.ts";

/** A relay is never without itself: no entry waits for it. */
export type EntryState = Exclude<ForwardState, "waiting">;

interface Told<State> {
  readonly state: State;
  /** Why it is not open, one sentence. */
  readonly message: string | null;
}

/** What a forward's state is made of. */
export interface StateMeans {
  readonly forwards: Pick<RelayForwards, "entryOf" | "assignments">;
  readonly session: LinkOf;
  /** Of a name whose TLS the relay ends. */
  certificateOf(host: string): SiteCertificate;
}

/** What a forward of a relay is now, and why it is not open. `waiting`: for its certificate. */
export function forwardState(forward: HeldForward, means: StateMeans): Told<ForwardState> {
  const entry = entryState(forward, means.forwards, means.session);
  return entry.state === "open" ? (troubleOf(forward, means) ?? entry) : entry;
}

/** Why a site's visitors are refused although its device serves it; null = they are not. */
export function troubleOf({ spec }: HeldForward, { certificateOf }: Pick<StateMeans, "certificateOf">): Trouble | null {
  return spec.site?.tls === "end" ? certificateTrouble(spec.site.hosts, certificateOf) : null;
}

/** The same, whatever its certificates are. */
export function entryState(forward: HeldForward, forwards: StateMeans["forwards"], linkOf: LinkOf): Told<EntryState> {
  const { owner, spec } = forward;
  if (!spec.enabled) return { state: "disabled", message: "Its owner has disabled it." };
  const shared = forwards.entryOf(forward);
  const member = shared?.members.get(owner.device);
  if (shared === undefined || member === undefined) {
    return { state: "refused", message: "Its ports could not be opened on the relay; see the relay's log." };
  }
  if (linkOf(owner.device) === undefined) {
    return { state: "away", message: "Its device is not connected; the ports are reserved for it." };
  }
  if (member.handle === null) {
    const assigned = forwards.assignments.get(owner.device, spec.id);
    if (assigned === null)
      return { state: "away", message: "Its device is connected but has not taken it back; see the agent's status." };
    return notTaken(assigned.declined, forwards.assignments.isManaged(owner.device) !== null);
  }
  if (!member.healthy) return { state: "unhealthy", message: "The service behind it fails its health check." };
  return { state: "open", message: null };
}

/** Of a forward that was assigned to a device which is connected and does not serve it. */
function notTaken(declined: string | null, isListening: boolean): Told<EntryState> {
  if (declined !== null) return { state: "refused", message: `Its device does not allow it: ${declined}` };
  if (isListening) return { state: "away", message: "Its device was told of it and has not taken it up yet." };
  const message =
    "Its device does not ask for forwards of the relay: an older agent must be updated, and a lone `expose` takes none.";
  return { state: "refused", message };
}
