import type { Endpoint } from "../../../wire/endpoint.ts";
import type { Result } from "../../../wire/result.ts";
import type { InterfaceAddress } from "../../../wire/wireguard/client-config.ts";
import type { WgKey } from "../../../wire/wireguard/key.ts";
import type { NatError } from "../state.ts";

/**
 * The VPN server's interface as it is to be: plain JSON, for a local socket. The private key is not part of it: whoever
 * holds the interface reads it from a file of its own.
 */
export interface VpnState {
  readonly interface: string;
  /** UDP. */
  readonly listenPort: number;
  readonly mtu: number;
  /** The server's, with the prefix of the peers' network. */
  readonly addresses: readonly InterfaceAddress[];
  readonly peers: readonly VpnStatePeer[];
}

export interface VpnStatePeer {
  readonly publicKey: WgKey;
  readonly presharedKey: WgKey | null;
  /** In the tunnel. No two peers share one. */
  readonly addresses: readonly string[];
  /**
   * Where it was last heard from. An interface that is new has no sessions: it calls the peer there, so that forwards
   * work again at once. A peer that only sends keepalives notices when its session is 120 s old (REKEY_AFTER_TIME).
   */
  readonly lastEndpoint: Endpoint | null;
}

export interface VpnError {
  /** `key`: the file of the private key; the others as in NatError. */
  readonly kind: NatError["kind"] | "key";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** Who runs WireGuard. */
export type VpnBackend = "kernel" | "wireguard-go";

export interface VpnApplied {
  readonly backend: VpnBackend;
  /** The server's, for the clients' files. */
  readonly publicKey: WgKey;
  /** What does not work and can be lived with, in sentences. */
  readonly warnings: readonly string[];
}

export interface VpnStatus {
  /** The interface is there and is ours. */
  readonly up: boolean;
  readonly peers: readonly VpnPeerStatus[];
}

export interface VpnPeerStatus {
  readonly publicKey: WgKey;
  readonly endpoint: Endpoint | null;
  /** Since the epoch; null = none since the interface began. */
  readonly latestHandshakeMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/**
 * The VPN server's interface. Desired state in; what resolves `ok` is so. Applying the same again changes nothing, and
 * a change touches no session of a peer that stays as it is. An interface that vanishes is made again.
 */
export interface VpnInterface {
  apply(desired: VpnState): Promise<Result<VpnApplied, VpnError>>;
  /** Of the interface that was applied last. */
  status(): Promise<Result<VpnStatus, VpnError>>;
  /** `clean`: the interface is gone. Else it goes on, for a start that follows and takes it over. */
  close(options: { readonly clean: boolean }): Promise<Result<null, VpnError>>;
}
