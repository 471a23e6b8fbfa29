import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import type { Peer } from "../../../dataplanes/tunnel/session.ts";
import type { SshConnection } from "../../../servers/ssh/connection.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";
import type { SshPrincipal } from "./authority.ts";

/** A forward that one connection serves. */
export interface ServedForward {
  readonly id: string;
  readonly handle: number;
  /** The public port. */
  readonly port: number;
  /** As the client asked for it: visitors are told to it by these words. */
  readonly bindHost: string;
}

/** What the parts see of a device that is connected by SSH, once or more often. */
export interface ConnectedDevice {
  readonly peer: Peer;
  /** Its grants are known: nothing is opened before. */
  readonly begun: Promise<void>;
  readonly clients: Set<ConnectedClient>;
  /** By the handle that a forward has. */
  readonly serving: Map<number, ConnectedClient>;
}

/** And of one of its connections. */
export interface ConnectedClient {
  readonly device: ConnectedDevice;
  readonly connection: SshConnection<SshPrincipal>;
  /** See SshPrincipal. */
  readonly keyFingerprint: string | null;
  /** By public port. */
  readonly forwards: ReadonlyMap<number, ServedForward>;
  /** Ids of forwards that are being asked for. */
  readonly claimed: ReadonlySet<string>;
  openForwarded(request: Extract<OpenRequest, { kind: "forward" }>, onGone: (() => void) | null): ByteEnd | ReasonName;
}
