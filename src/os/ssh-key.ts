import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SshSignature } from "../wire/ssh/certificate.ts";
import { Fields } from "../wire/ssh/fields.ts";
import { CURVES, formatFingerprint, type KeyParts } from "../wire/ssh/public-key.ts";

/** RFC 5656 §6.2.1 */
const ECDSA_HASH = { nistp256: "sha256", nistp384: "sha384", nistp521: "sha512" } as const;
const JWK_CURVE = { nistp256: "P-256", nistp384: "P-384", nistp521: "P-521" } as const;
/** RFC 8332 §3. `ssh-rsa`, which is SHA-1, is not among them. */
const RSA_HASH: Readonly<Record<string, string>> = { "rsa-sha2-256": "sha256", "rsa-sha2-512": "sha512" };

/** `SHA256:…` of a key as it travels. */
export function sshFingerprint(blob: Uint8Array): string {
  return formatFingerprint(createHash("sha256").update(blob).digest());
}

/** `der`: an ECDSA signature is in that form, and not as it travels. */
export interface Signature extends SshSignature {
  readonly der?: boolean;
}

/** False for a wrong signature, one by an algorithm that does not fit the key, and one that is none. */
export function verifySshSignature(parts: KeyParts, data: Uint8Array, { algorithm, bytes, der }: Signature): boolean {
  try {
    switch (parts.kind) {
      case "ed25519":
        return algorithm === "ssh-ed25519" && verify(null, data, publicKeyOf(parts), bytes);
      case "rsa": {
        const hash = Object.hasOwn(RSA_HASH, algorithm) ? RSA_HASH[algorithm] : undefined;
        return hash !== undefined && verify(hash, data, publicKeyOf(parts), bytes);
      }
      case "ecdsa": {
        if (algorithm !== `ecdsa-sha2-${parts.curve}`) return false;
        const hash = ECDSA_HASH[parts.curve];
        const key = publicKeyOf(parts);
        if (der === true) return verify(hash, data, { key, dsaEncoding: "der" }, bytes);
        const raw = rawEcdsa(bytes, parts);
        return raw !== null && verify(hash, data, { key, dsaEncoding: "ieee-p1363" }, raw);
      }
      default:
        return parts satisfies never;
    }
  } catch {
    // A point that is not on its curve, an even modulus: no key that could have signed.
    return false;
  }
}

/** The two mpints of RFC 5656 §3.1.2 as r and s of the curve's length. */
function rawEcdsa(bytes: Uint8Array, { curve }: Extract<KeyParts, { kind: "ecdsa" }>): Uint8Array | null {
  const { coordinateBytes } = CURVES[curve];
  const fields = new Fields(bytes);
  const raw = new Uint8Array(2 * coordinateBytes);
  for (const end of [coordinateBytes, 2 * coordinateBytes]) {
    const number = fields.string();
    const digits = number?.[0] === 0 ? number.subarray(1) : number;
    if (digits === null || digits === undefined || digits.length > coordinateBytes) return null;
    raw.set(digits, end - digits.length);
  }
  return fields.isDone ? raw : null;
}

function publicKeyOf(parts: KeyParts): KeyObject {
  return createPublicKey({ key: jwkOf(parts), format: "jwk" });
}

function jwkOf(parts: KeyParts) {
  const text = (bytes: Uint8Array) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  switch (parts.kind) {
    case "ed25519":
      return { kty: "OKP", crv: "Ed25519", x: text(parts.publicKey) };
    case "rsa":
      return { kty: "RSA", n: text(parts.modulus), e: text(parts.exponent) };
    case "ecdsa":
      return { kty: "EC", crv: JWK_CURVE[parts.curve], x: text(parts.x), y: text(parts.y) };
    default:
      return parts satisfies never;
  }
}
