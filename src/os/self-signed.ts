import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { loadReflection } from "./reflection.ts";

const DAY_MS = 86_400_000;
/** An agent whose clock runs behind still accepts a new certificate. */
const BACKDATED_MS = DAY_MS;
/** Ten years: agents pin the key, so a short life would protect nobody and cut them all off on one day. */
const LIFETIME_MS = 3_650 * DAY_MS;
/** RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
const SERIAL_BYTES = 16;
const SIGNATURE = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/**
 * What makes certificates. Its 70 ms are paid when one is made, not at every start; call it before when the files of the
 * program may be out of reach by then.
 */
export async function loadSelfSigning() {
  await loadReflection();
  return await import("@peculiar/x509");
}

export interface SelfSignedOptions {
  /** ECDSA P-256, PKCS #8, PEM. */
  readonly keyPem: string;
  readonly subject: string;
  /** Host names and IP literals. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** An extension that who does not know it must refuse; `value`: DER. */
  readonly critical?: { readonly oid: string; readonly value: Uint8Array };
}

/** A self-signed server certificate of a relay, PEM, for an ECDSA P-256 key (PKCS #8, PEM). `names`: host names and IP literals. */
export function selfSignedCertificate(keyPem: string, names: readonly string[], nowMs: number): Promise<string> {
  const [notBeforeMs, notAfterMs] = [nowMs - BACKDATED_MS, nowMs + LIFETIME_MS];
  return selfSigned({ keyPem, subject: "CN=Hatchway relay", names, notBeforeMs, notAfterMs });
}

/** A self-signed server certificate, PEM. */
export async function selfSigned(options: SelfSignedOptions): Promise<string> {
  const { keyPem, subject, names, notBeforeMs, notAfterMs, critical } = options;
  const x509 = await loadSelfSigning();
  const privateKey = createPrivateKey(keyPem);
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const keys = {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, SIGNATURE, true, ["sign"]),
    publicKey: await crypto.subtle.importKey("spki", spki, SIGNATURE, true, ["verify"]),
  };
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toString("hex"),
    name: subject,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name })),
      ),
      ...(critical === undefined ? [] : [new x509.Extension(critical.oid, true, Uint8Array.from(critical.value))]),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}
