import type { VpnPeerError } from "../../store/vpn-peers.ts";
import { ControlError } from "../control.ts";

/**
 * Of the VPN: as its store has it, and `settings`. Of a mapping: `client`: none that it may lead to; `closed`: the peer takes
 * no such port; `reserved`: this machine needs the port; `taken`: another forward has it.
 */
export type GatewayRefusal = VpnPeerError["kind"] | "settings" | "client" | "closed" | "reserved" | "taken";

/** A refusal of what somebody asked for: the local socket tells its sentence, and the API also which field it is about. */
export class GatewayRefused extends ControlError {
  readonly why: GatewayRefusal;

  constructor(why: GatewayRefusal, message: string) {
    super(why === "taken" ? "failed" : "usage", message);
    this.why = why;
  }
}
