import type { Opener } from "../../dataplanes/tunnel/exit.ts";
import type { Peer } from "../../dataplanes/tunnel/session.ts";

/** A device that is connected: by its agent's tunnel session, or by SSH. */
export interface DeviceLink extends Opener {
  readonly peer: Peer;
  /** `address:port` that the device connects from. */
  readonly remoteAddress: string;
  /** The address of the relay that it reached. */
  readonly localAddress: string;
  /** Null = not measured yet. */
  readonly measuredRttMs: number | null;
  /** A fresh round trip, in milliseconds; null = none is to be had. */
  measureRtt(): Promise<number | null>;
}

/** The device's present link; undefined = it is away. */
export type LinkOf = (deviceId: string) => DeviceLink | undefined;
