import { Penalties, type PenaltyOptions, SOURCE_PENALTIES } from "../../core/penalty.ts";
import { Pending } from "../../core/pending.ts";
import type { AuthVerdict, Credentials, HandshakeOutcome } from "../../dataplanes/tunnel/relay.ts";
import type { Device } from "../../store/devices.ts";
import type { Store } from "../../store/store.ts";
import { parseAddress, sourceKey } from "../../wire/address.ts";

/**
 * A wrong credential is answered after 1 s, the source's next ones after 2, 4, 8, 16 and at most 30 s: a held-back answer
 * keeps a place among the pending connections, so it is not held longer.
 */
const DENIALS: PenaltyOptions = {
  ...SOURCE_PENALTIES,
  baseSec: { noAuth: 0, failed: 1, graceExceeded: 1 },
  maxSec: 30,
  minSec: 0,
};
/** Compared with when no join code was shown, so that both ways do the same work. */
const NO_SECRET = new Uint8Array(16);

export interface AuthOptions {
  readonly store: Store;
  /** Monotonic. */
  nowMs(): number;
  wallMs(): number;
  random(): number;
  /** A denied credential, for the log: where from, how long it waits. */
  onDenied(address: string, afterMs: number): void;
  onEnrolled(device: Device): void;
}

/**
 * Who may connect: enrolled devices by their key, new ones by a join code. A wrong, used, expired or revoked credential
 * gets one answer, later each time its source fails. A right one is never made to wait for its neighbours' mistakes:
 * keys and secrets are too long to guess, the wait only makes guessing and logs cheaper to bear.
 */
export class RelayAuth {
  readonly #options: AuthOptions;
  readonly #pending = new Pending();
  readonly #penalties = new Penalties(DENIALS);

  constructor(options: AuthOptions) {
    this.#options = options;
  }

  admit(address: string): boolean {
    return this.#pending.enter(keyOf(address), this.#options.random()) === null;
  }

  settled(address: string, outcome: HandshakeOutcome): void {
    const key = keyOf(address);
    this.#pending.leave(key);
    if (outcome === "timeout") this.#penalties.offend(key, "graceExceeded", this.#options.nowMs());
  }

  async authenticate(credentials: Credentials, address: string): Promise<AuthVerdict> {
    const { store } = this.#options;
    const device = await this.#find(credentials);
    if (device === null || !namesFit(credentials, device.name)) return this.#deny(address);
    const account = await store.accounts.find(device.accountId);
    if (account === null) return this.#deny(address);
    const { id: deviceId, name } = device;
    return { kind: "accepted", peer: { deviceId, name, account: account.id, version: credentials.version } };
  }

  async #find(credentials: Credentials): Promise<Device | null> {
    const { store } = this.#options;
    const known = await store.devices.findByKey(credentials.publicKey);
    if (credentials.join === null) return known;
    // An unproven key comes as zero bytes: it must not use a code up.
    const proven = credentials.publicKey.length > 0;
    const secret = proven ? Buffer.from(credentials.join, "base64url") : NO_SECRET;
    const { publicKey, certificateNames } = credentials;
    const redeemed = await store.joinCodes.redeem(secret, publicKey, this.#options.wallMs(), certificateNames);
    if (!redeemed.ok || !proven) return null;
    this.#options.onEnrolled(redeemed.value);
    return redeemed.value;
  }

  #deny(address: string): AuthVerdict {
    const afterMs = this.#penalties.offend(keyOf(address), "failed", this.#options.nowMs());
    this.#options.onDenied(address, afterMs);
    return { kind: "denied", afterMs };
  }
}

/**
 * Where the relay asks for client certificates, theirs must name the device: one principal, proven twice. A join code is
 * spent by such a device only (`redeem`).
 */
function namesFit(credentials: Credentials, deviceName: string): boolean {
  return credentials.certificateNames === null || credentials.certificateNames.includes(deviceName);
}

function keyOf(address: string): string {
  const parsed = parseAddress(address);
  return sourceKey(parsed.ok ? parsed.value : address);
}
