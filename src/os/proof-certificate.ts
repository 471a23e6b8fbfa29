import { createHash, generateKeyPairSync } from "node:crypto";
import { selfSigned } from "./self-signed.ts";

/** id-pe-acmeIdentifier, and what stands before the 32 bytes of its value: an OCTET STRING (RFC 8737 section 3). */
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
const OCTET_STRING = [0x04, 0x20] as const;
const DAY_MS = 86_400_000;

/** What proves a name to a CA in a handshake (tls-alpn-01, RFC 8737): a certificate that nobody else trusts, and its key. */
export async function proofCertificate(
  name: string,
  keyAuthorization: string,
  nowMs: number,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const keyPem = generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
  const digest = createHash("sha256").update(keyAuthorization).digest();
  const certificatePem = await selfSigned({
    keyPem,
    subject: "CN=ACME proof",
    names: [name],
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + DAY_MS,
    critical: { oid: ACME_IDENTIFIER, value: Uint8Array.of(...OCTET_STRING, ...digest) },
  });
  return { certificatePem, keyPem };
}
