import type { RelayTrust } from "../../dataplanes/tunnel/tls.ts";
import type { AgentState, Enrolment } from "../../store/agent-state.ts";
import { decodeJoinCode } from "../../wire/join-code.ts";
import { ControlError } from "../control.ts";

/** Which relay this agent belongs to, and the one-time secret when it is to join now. */
export interface Identity {
  readonly enrolment: Omit<Enrolment, "deviceName">;
  readonly deviceName: string | null;
  readonly secret: string | null;
}

/**
 * From a join code, or from what the data directory remembers; null = `withoutRelay`. Throws ControlError `usage` when
 * neither is there.
 */
export function identityOf(joinCode: string | null, state: AgentState, withoutRelay: boolean): Identity | null {
  if (withoutRelay) return null;
  if (joinCode === null) {
    const enrolment = state.enrolment();
    if (enrolment !== null) return { enrolment, deviceName: enrolment.deviceName, secret: null };
    throw new ControlError(
      "usage",
      'This agent has not joined a relay yet: run "hatchway join-code create --name NAME" beside the relay, then "hatchway agent --join CODE" here. For mappings on your router alone: "hatchway agent --no-relay".',
    );
  }
  const code = decodeJoinCode(joinCode);
  if (!code.ok) throw new ControlError("usage", code.error.message);
  const { relay, trust, fingerprint, secret } = code.value;
  return {
    enrolment: { relay, trust, fingerprint },
    deviceName: null,
    secret: Buffer.from(secret).toString("base64url"),
  };
}

/** `ca`: PEM of the CA that vouches for a relay with a certificate of its own; null = the system's CAs. */
export function trustOf({ trust, fingerprint }: Identity["enrolment"], ca: string | null): RelayTrust {
  return trust === "pinned" && fingerprint !== null ? { kind: "pinned", fingerprint } : { kind: "verified", ca };
}
