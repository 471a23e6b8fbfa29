import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { err, ok, type Result } from "../wire/result.ts";
import { createFile, type FileError, readPrivateText } from "./files.ts";
import { dataPaths } from "./paths.ts";

/** Ed25519 (RFC 8032): raw public keys and signatures. */
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
const DEVICE_ID_CHARACTERS = 16;

/** The key a device makes itself when it enrols, and proves at every connection. The private half never leaves here. */
export interface DeviceKey {
  readonly publicKey: Uint8Array;
  readonly deviceId: string;
  sign(message: Uint8Array): Uint8Array;
}

/**
 * The first 64 bits of the SHA-256 of the public key, hexadecimal: a short name for lists and logs. It does not
 * authenticate: whoever asks who a device is compares the key.
 */
export function deviceIdOf(publicKey: Uint8Array): string {
  return createHash("sha256").update(publicKey).digest("hex").slice(0, DEVICE_ID_CHARACTERS);
}

/** Reads the data directory's device key, or makes it and has it on the disk (mode 0600) before this resolves. */
export async function loadOrCreateDeviceKey(directory: string): Promise<Result<DeviceKey, FileError>> {
  const path = dataPaths(directory).deviceKey;
  const present = await readPrivateText(path);
  if (!present.ok) return present;
  if (present.value !== null) return parseDeviceKey(present.value, path);

  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const made = await createFile(path, pem);
  if (!made.ok) return made;
  return made.value === "created" ? parseDeviceKey(pem, path) : loadOrCreateDeviceKey(directory);
}

function parseDeviceKey(pem: string, path: string): Result<DeviceKey, FileError> {
  const message = `${path} is not a device key: put it back from a backup, or delete it and join again.`;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== "ed25519") return err({ kind: "damaged", message });
    return ok(deviceKey(key));
  } catch (cause) {
    return err({ kind: "damaged", message, cause });
  }
}

/** A new key as its 32 private bytes, for an app that keeps it itself (wire/device-identity.ts). */
export function newDeviceSeed(): Uint8Array {
  return seedOf(generateKeyPairSync("ed25519").privateKey);
}

export function deviceKeyOfSeed(seed: Uint8Array): DeviceKey {
  return deviceKey(createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" }));
}

/** The private bytes of a data directory's device key; null = it has none. */
export async function readDeviceSeed(directory: string): Promise<Result<Uint8Array | null, FileError>> {
  const path = dataPaths(directory).deviceKey;
  const present = await readPrivateText(path);
  if (!present.ok || present.value === null) return present.ok ? ok(null) : present;
  const checked = parseDeviceKey(present.value, path);
  return checked.ok ? ok(seedOf(createPrivateKey(present.value))) : checked;
}

/** All of a PKCS #8 document (RFC 8410 section 7) that comes before the 32 bytes of an Ed25519 key. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

function seedOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "pkcs8" }).subarray(PKCS8_HEAD.length));
}

function deviceKey(key: KeyObject): DeviceKey {
  const x = createPublicKey(key).export({ format: "jwk" }).x ?? "";
  const publicKey = new Uint8Array(Buffer.from(x, "base64url"));
  return {
    publicKey,
    deviceId: deviceIdOf(publicKey),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

/** False also for a key or signature that is none: whatever a peer sends may come here. */
export function verifyDeviceSignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const x = Buffer.from(publicKey).toString("base64url");
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return verify(null, message, key, signature);
  } catch {
    // Not a point on the curve: nobody can have signed with it.
    return false;
  }
}
