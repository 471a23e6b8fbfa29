import { createHash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { HostPort } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { ALPN, EXPORTER_BYTES, EXPORTER_LABEL } from "../../wire/tunnel/control.ts";
import type { TlsByteSocket } from "../io/byte-socket.ts";

/** RFC 8446; nothing older is spoken. Bun 1.4.5 takes the option though its types do not list it (test: tls.test.ts). */
export const TLS_1_3_ONLY = { minVersion: 0x0304 } as const;

/** RFC 7301 wire form: one length-prefixed name. */
export const ALPN_WIRE: Buffer = Buffer.concat([Buffer.from([ALPN.length]), Buffer.from(ALPN)]);

/** Finishing TCP, TLS and the hello takes no honest peer longer. A stalled TLS handshake does not end by itself in Bun. */
export const HANDSHAKE_MS = 10_000;

/** How an agent knows its relay. */
export type RelayTrust =
  /** SHA-256 of the certificate's SubjectPublicKeyInfo, from the join code. */
  | { readonly kind: "pinned"; readonly fingerprint: Uint8Array }
  /** A certificate that chains to a public CA, or to `ca` (PEM), and names the relay's host. */
  | { readonly kind: "verified"; readonly ca: string | null };

export interface CertificatePair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** What an agent offers when it begins TLS with its relay. */
export function relayTlsOptions(relay: HostPort, trust: RelayTrust, clientCertificate: CertificatePair | null) {
  return {
    rejectUnauthorized: trust.kind === "verified",
    ...(trust.kind === "verified" && trust.ca !== null ? { ca: trust.ca } : {}),
    ...(clientCertificate ?? {}),
    serverName: relay.host,
    ALPNProtocols: ALPN_WIRE,
    ...TLS_1_3_ONLY,
  };
}

/** The bytes a device signs: unique to this TLS session, known to its two ends only (RFC 5705, RFC 8446 §7.5). */
export function sessionBinding(socket: Pick<TlsByteSocket<unknown>, "exportKeyingMaterial">): Uint8Array {
  return socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
}

/**
 * What X.509 verification says of a certificate that the TLS library does not know (openssl verify(1)), or whose name
 * is another. A pinned key needs neither an issuer nor a name. Anything else means that the handshake itself failed.
 */
const PINNED_MAY_LACK: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
]);

/**
 * Whether the TLS handshake came to its end. Bun reports a certificate it cannot verify as a failed handshake even
 * with `rejectUnauthorized: false` (1.4.5: when the name differs as well).
 */
export function handshakeDone(success: boolean, error: Error | null, trust: RelayTrust): boolean {
  if (success) return true;
  const code = (error as { readonly code?: unknown } | null)?.code;
  return trust.kind === "pinned" && typeof code === "string" && PINNED_MAY_LACK.has(code);
}

/**
 * Checks the relay's certificate after the handshake. A pinned one must have the pinned key and be within its
 * validity; a verified one was checked by TLS itself (`authorizationError`), its name is checked here as well.
 */
export function checkRelayCertificate(
  socket: Pick<TlsByteSocket<unknown>, "getPeerX509Certificate">,
  authorizationError: Error | null,
  trust: RelayTrust,
  relay: HostPort,
  wallMs: number,
): Result<null, string> {
  const der = socket.getPeerX509Certificate()?.raw;
  if (der === undefined) return err("the relay showed no certificate");
  const certificate = new X509Certificate(der);
  if (wallMs < Date.parse(certificate.validFrom) || wallMs > Date.parse(certificate.validTo)) {
    return err(`the relay's certificate is valid from ${certificate.validFrom} to ${certificate.validTo}, not now`);
  }
  switch (trust.kind) {
    case "pinned": {
      const spki = certificate.publicKey.export({ type: "spki", format: "der" });
      const fingerprint = createHash("sha256").update(spki).digest();
      if (Buffer.compare(fingerprint, trust.fingerprint) === 0) return ok(null);
      return err("the relay's certificate is not the one the join code named: someone may stand in between");
    }
    case "verified": {
      if (authorizationError !== null)
        return err(`the relay's certificate is not trusted: ${authorizationError.message}`);
      // Bun's checkIP throws on a name.
      const named = isIP(relay.host) === 0 ? certificate.checkHost(relay.host) : certificate.checkIP(relay.host);
      return named === undefined ? err(`the relay's certificate is for another name than ${relay.host}`) : ok(null);
    }
    default:
      return trust satisfies never;
  }
}
