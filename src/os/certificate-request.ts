import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { loadReflection } from "./reflection.ts";

const SIGNATURE = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export interface CertificateRequest {
  /** PKCS #10, DER. */
  readonly csr: Uint8Array;
  /** PKCS #8, PEM: ECDSA P-256, made for this request. */
  readonly keyPem: string;
}

/** A request for a certificate with these DNS names (RFC 2986), and the new key that it is for. */
export async function certificateRequest(names: readonly string[]): Promise<CertificateRequest> {
  // Loaded here and not above, as in self-signed.ts: it takes 70 ms.
  await loadReflection();
  const x509 = await import("@peculiar/x509");
  const keyPem = generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
  const privateKey = createPrivateKey(keyPem);
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: {
      privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, SIGNATURE, true, ["sign"]),
      publicKey: await crypto.subtle.importKey("spki", spki, SIGNATURE, true, ["verify"]),
    },
    signingAlgorithm: SIGNATURE,
    extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value })))],
  });
  return { csr: new Uint8Array(request.rawData), keyPem };
}
