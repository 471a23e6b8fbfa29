import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { err, ok, type Result } from "../wire/result.ts";
import { formatKey, KEY_BYTES, keyBytes, parseKey, type WgKey } from "../wire/wireguard/key.ts";
import { createFile, type FileError, fileError, HAS_POSIX_FILES, readPrivateText } from "./files.ts";

export interface WgKeyPair {
  readonly privateKey: WgKey;
  readonly publicKey: WgKey;
}

/** The fixed head of an X25519 private key in PKCS #8 (RFC 8410 section 7); the 32 bytes follow. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b656e04220420", "hex");

export function generateWgKeyPair(): WgKeyPair {
  const jwk = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return { privateKey: fromJwk(jwk.d), publicKey: fromJwk(jwk.x) };
}

/** 256 bits that both ends know: what a quantum computer that breaks X25519 would lack. */
export function generatePresharedKey(): WgKey {
  return formatKey(randomBytes(KEY_BYTES));
}

export function publicKeyOf(privateKey: WgKey): WgKey {
  const der = Buffer.concat([PKCS8_HEAD, keyBytes(privateKey)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return fromJwk(createPublicKey(key).export({ format: "jwk" }).x);
}

/**
 * Reads the server's key from a file of `wg genkey`'s form, or makes it and has it on the disk (mode 0600) before this
 * resolves. Refused: a file that others may read, or that belongs to somebody else, who could read it at any time.
 */
export async function loadOrCreateWgKey(
  path: string,
  ownUid = process.geteuid?.(),
): Promise<Result<WgKeyPair, FileError>> {
  const present = await readPrivateText(path);
  if (!present.ok) return present;
  if (present.value !== null) {
    const foreign = await ownerProblem(path, ownUid);
    return foreign === null ? readPair(present.value, path) : err(foreign);
  }
  const pair = generateWgKeyPair();
  const made = await createFile(path, `${pair.privateKey}\n`);
  if (!made.ok) return made;
  return made.value === "created" ? ok(pair) : loadOrCreateWgKey(path, ownUid);
}

function readPair(text: string, path: string): Result<WgKeyPair, FileError> {
  const key = parseKey(text.trim());
  if (key.ok) return ok({ privateKey: key.value, publicKey: publicKeyOf(key.value) });
  const message = `${path} is not a WireGuard key: put it back from a backup, or delete it and give every peer a new configuration.`;
  return err({ kind: "damaged", message });
}

async function ownerProblem(path: string, ownUid: number | undefined): Promise<FileError | null> {
  if (!HAS_POSIX_FILES) return null;
  try {
    const { uid } = await stat(path);
    if (uid === ownUid) return null;
    return {
      kind: "exposed",
      message: `${path} belongs to another user (${uid}): run chown on it, or make a new one.`,
    };
  } catch (cause) {
    return fileError(cause, "read", path);
  }
}

function fromJwk(base64url: string | undefined): WgKey {
  return formatKey(Buffer.from(base64url ?? "", "base64url"));
}
