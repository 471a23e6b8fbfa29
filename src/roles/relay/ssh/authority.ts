import { allowsSource as isWithin } from "../../../core/source-rules.ts";
import type { Peer } from "../../../dataplanes/tunnel/session.ts";
import { sshFingerprint, verifySshSignature } from "../../../os/ssh-key.ts";
import type { SshCredential } from "../../../servers/ssh/auth.ts";
import type { Device } from "../../../store/devices.ts";
import type { Store } from "../../../store/store.ts";
import { parseCidr } from "../../../wire/address.ts";
import type { UserCertificate } from "../../../wire/ssh/certificate.ts";
import { Fields } from "../../../wire/ssh/fields.ts";
import type { SshKey } from "../../../wire/ssh/public-key.ts";

/** Who a client proved to be. */
export interface SshPrincipal {
  readonly peer: Peer;
  /** The key of `ssh-key add` that it proved; null = a device's own key, or a certificate. */
  readonly keyFingerprint: string | null;
}

export interface SshAuthorityOptions {
  readonly store: Pick<Store, "sshKeys" | "devices" | "accounts">;
  /** `[ssh] trusted-user-ca`, asked for each certificate. */
  trusted(): readonly SshKey[];
  /** Unix time. */
  wallMs(): number;
}

const MS_PER_SEC = 1_000n;
/** Without it OpenSSH's own server lets a certificate forward nothing, and here there is nothing else. */
const MAY_FORWARD = "permit-port-forwarding";
const SOURCE_ADDRESS = "source-address";

/** Whose key or certificate it is; null = nobody's that may come in. Its owner has not proved it yet. */
export async function findPrincipal(
  { store, trusted, wallMs }: SshAuthorityOptions,
  credential: SshCredential,
  address: string,
): Promise<SshPrincipal | null> {
  if (credential.kind === "key") return ofKey(store, credential.key);
  const { certificate, login } = credential;
  if (!isGood(certificate, login, address, trusted(), wallMs())) return null;
  const device = await store.devices.find(login);
  return device.ok ? { peer: peerOf(device.value), keyFingerprint: null } : null;
}

/** Who proved that to another process of this relay, as the device is now; null = it was revoked since. */
export async function findCarried(
  { devices }: Pick<SshAuthorityOptions["store"], "devices">,
  deviceId: string,
  keyFingerprint: string | null,
): Promise<SshPrincipal | null> {
  const device = await devices.find(deviceId);
  if (!device.ok || device.value.id !== deviceId || device.value.revokedMs !== null) return null;
  return { peer: peerOf(device.value), keyFingerprint };
}

async function ofKey(store: SshAuthorityOptions["store"], { parts, blob }: SshKey): Promise<SshPrincipal | null> {
  const added = await store.sshKeys.find(blob);
  if (added !== null) return { peer: peerOf(added.device), keyFingerprint: sshFingerprint(blob) };
  if (parts.kind !== "ed25519") return null;
  const device = await store.devices.findByKey(parts.publicKey);
  return device === null ? null : { peer: peerOf(device), keyFingerprint: null };
}

function peerOf({ id, name, accountId }: Device): Peer {
  return { deviceId: id, name, account: accountId, version: "ssh" };
}

/** PROTOCOL.certkeys: by a CA that is trusted, for this login, now, from here, and with no option that is not understood. */
function isGood(
  certificate: UserCertificate,
  login: string,
  address: string,
  trusted: readonly SshKey[],
  wallMs: number,
): boolean {
  const { ca, signed, signature, principals, validAfterSec, validBeforeSec, criticalOptions } = certificate;
  const nowSec = BigInt(Math.floor(wallMs)) / MS_PER_SEC;
  if (!trusted.some(({ blob }) => Buffer.compare(blob, ca.blob) === 0)) return false;
  // One without principals would be good for everybody: OpenSSH refuses it for users as well.
  if (!principals.includes(login) || nowSec < validAfterSec || nowSec >= validBeforeSec) return false;
  if (!certificate.extensions.has(MAY_FORWARD)) return false;
  for (const [name, data] of criticalOptions) {
    if (name !== SOURCE_ADDRESS || !allowsSource(data, address)) return false;
  }
  return verifySshSignature(ca.parts, signed, signature);
}

/** Networks, with commas between them. */
function allowsSource(data: Uint8Array, address: string): boolean {
  const networks = new Fields(data).text()?.split(",") ?? [];
  return networks.some((text) => {
    const network = parseCidr(text.trim());
    return network.ok && isWithin({ allow: [network.value], deny: [] }, address);
  });
}
