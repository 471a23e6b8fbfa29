import type { MappingDesk } from "../../core/mapping/desk.ts";
import { type MappingRefusal, REFUSAL_CODES } from "../../core/mapping/refusal.ts";
import type { ActionCall, OutputsFor } from "../../wire/igd/actions.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import type { UpnpErrorName } from "../../wire/igd/upnp-error.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { err, type Result } from "../../wire/result.ts";
import type { PinholeNumbers } from "./pinhole-numbers.ts";

/** What the actions of an Internet Gateway Device work on. */
export interface Gateway {
  readonly desk: MappingDesk;
  readonly pinholeNumbers: PinholeNumbers;
  /** Off: every AddPinhole is refused, and GetFirewallStatus says so. */
  readonly pinholesAllowed: boolean;
  /** What GetCommonLinkProperties says of the line. */
  readonly upBitsPerSec: number;
  readonly downBitsPerSec: number;
  /** How long the firewall keeps a silent flow that began inside. */
  readonly outboundTimeoutSec: Readonly<Record<Protocol, number>>;
  /** The identity of the WANConnectionDevice, without `uuid:`. */
  readonly wanConnectionUuid: string;
}

/** Who calls, and on what: what every action gets besides its arguments. */
export interface Caller {
  readonly gateway: Gateway;
  /** Where the request came from, canonical. */
  readonly requester: string;
  /** What the gateway is to this client. */
  readonly igd: IgdVersion;
}

export type CallTo<A extends ActionCall["action"]> = Extract<ActionCall, { readonly action: A }>;

/** Why an action was not done: what goes on the wire, and a sentence for the log (null = nothing to add). */
export interface ActionRefusal {
  readonly error: UpnpErrorName;
  readonly message: string | null;
}

export type Outcome<C extends ActionCall> = Result<OutputsFor<C>, ActionRefusal>;

export function refuse(
  error: UpnpErrorName,
  message: string | null = null,
): { readonly ok: false; readonly error: ActionRefusal } {
  return err({ error, message });
}

/** A refusal of the desk's, in the codes of the service's version that the client named. The desk has told the log. */
export function refusedByDesk({ kind }: MappingRefusal, version: IgdVersion) {
  return refuse(REFUSAL_CODES[kind][version === 1 ? "igd1" : "igd2"]);
}
