import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { err, ok, type Result } from "../wire/result.ts";
import { createFile, type FileError, readPrivateText, readText, replaceFile } from "./files.ts";
import { dataPaths } from "./paths.ts";
import { selfSignedCertificate } from "./self-signed.ts";

/** What a TLS listener needs, and what join codes say of it. */
export interface RelayCertificate {
  /** The certificate, and behind it the intermediate ones when there are any. */
  readonly certificatePem: string;
  readonly keyPem: string;
  /** SHA-256 of the certificate's SPKI, 32 bytes. */
  readonly fingerprint: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export type CertificateErrorKind = FileError["kind"] | "expired" | "not-yet-valid" | "key-mismatch";

export interface CertificateError {
  readonly kind: CertificateErrorKind;
  /** One sentence that says what to do. */
  readonly message: string;
  readonly cause?: unknown;
}

/** A certificate that ends within this time is issued again at start. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * The relay's own self-signed certificate (ECDSA P-256) from the data directory, made there when it is missing. The key
 * is the identity: agents pin its fingerprint. So when the relay gets another public name, or the certificate ends
 * soon, a new one is issued for the same key, and every agent and join code stays good.
 *
 * `names`: the public host, as names and IP literals.
 */
export async function loadOrCreateRelayCertificate(
  directory: string,
  names: readonly string[],
  nowMs: number,
): Promise<Result<RelayCertificate, CertificateError>> {
  const { relayCertificate, relayKey } = dataPaths(directory);
  const present = await readText(relayCertificate);
  if (!present.ok) return present;
  const key = await loadOrCreateKey(relayKey, present.value === null ? null : relayCertificate);
  if (!key.ok) return key;

  if (present.value !== null) {
    const pair = checkPair(present.value, key.value, relayCertificate, relayKey);
    if (!pair.ok) return pair;
    if (!needsReissue(pair.value.leaf, names, nowMs)) return ok(pair.value.certificate);
  }
  const issued = await selfSignedCertificate(key.value, names, nowMs);
  const written = await replaceFile(relayCertificate, issued);
  if (!written.ok) return written;
  const pair = checkPair(issued, key.value, relayCertificate, relayKey);
  return pair.ok ? ok(pair.value.certificate) : pair;
}

/** A certificate of the operator's own, with its key. Refused when it is expired, not yet valid, or of another key. */
export async function loadCertificatePair(
  certificatePath: string,
  keyPath: string,
  nowMs: number,
): Promise<Result<RelayCertificate, CertificateError>> {
  const certificatePem = await readText(certificatePath);
  if (!certificatePem.ok) return certificatePem;
  const keyPem = await readText(keyPath);
  if (!keyPem.ok) return keyPem;
  if (certificatePem.value === null) return err(missing(certificatePath));
  if (keyPem.value === null) return err(missing(keyPath));
  const pair = checkPair(certificatePem.value, keyPem.value, certificatePath, keyPath);
  if (!pair.ok) return pair;
  const { certificate } = pair.value;
  if (nowMs >= certificate.notAfterMs) {
    const message = `The certificate in ${certificatePath} expired on ${day(certificate.notAfterMs)}: renew it.`;
    return err({ kind: "expired", message });
  }
  const { notBeforeMs } = certificate;
  if (nowMs < notBeforeMs) {
    const message = `The certificate in ${certificatePath} is not valid before ${day(notBeforeMs)}: check this machine's clock.`;
    return err({ kind: "not-yet-valid", message });
  }
  return ok(certificate);
}

/** A pair that was kept or came by the network, if the key is the certificate's and every name is in it; else null. */
export function certificateOf(
  certificatePem: string,
  keyPem: string,
  names: readonly string[],
): RelayCertificate | null {
  const pair = checkPair(certificatePem, keyPem, "", "");
  return pair.ok && covers(pair.value.leaf, names) ? pair.value.certificate : null;
}

/** `certificatePath` = the certificate that must have a key already; null = none, so a key may be made. */
async function loadOrCreateKey(
  keyPath: string,
  certificatePath: string | null,
): Promise<Result<string, CertificateError>> {
  const present = await readPrivateText(keyPath);
  if (!present.ok) return present;
  if (present.value !== null) return ok(present.value);
  if (certificatePath !== null) {
    const message = `${keyPath} is missing: put it back from a backup, or delete ${certificatePath} too for a new identity, and then every agent must join again.`;
    return err({ kind: "missing", message });
  }
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
  const made = await createFile(keyPath, pem);
  if (!made.ok) return made;
  return made.value === "created" ? ok(pem) : loadOrCreateKey(keyPath, null);
}

interface CheckedPair {
  readonly leaf: X509Certificate;
  readonly certificate: RelayCertificate;
}

function checkPair(
  certificatePem: string,
  keyPem: string,
  certificatePath: string,
  keyPath: string,
): Result<CheckedPair, CertificateError> {
  const leaf = attempt(() => new X509Certificate(certificatePem));
  if (!leaf.ok) return err(damaged(`${certificatePath} is not a certificate in PEM`, leaf.error));
  const key = attempt(() => createPrivateKey(keyPem));
  if (!key.ok) return err(damaged(`${keyPath} is not a private key in PEM, or it has a passphrase`, key.error));
  if (!leaf.value.checkPrivateKey(key.value)) {
    const message = `The key in ${keyPath} does not belong to the certificate in ${certificatePath}: give the two that were made together.`;
    return err({ kind: "key-mismatch", message });
  }
  // A listener would refuse it too, but only once the one before it is gone.
  const chain = attempt(() => createSecureContext({ cert: certificatePem, key: keyPem }));
  if (!chain.ok) return err(damaged(`${certificatePath} has a damaged certificate behind its first`, chain.error));
  const certificate = {
    certificatePem,
    keyPem,
    fingerprint: fingerprintOf(leaf.value),
    notBeforeMs: Date.parse(leaf.value.validFrom),
    notAfterMs: Date.parse(leaf.value.validTo),
  };
  return ok({ leaf: leaf.value, certificate });
}

function needsReissue(leaf: X509Certificate, names: readonly string[], nowMs: number): boolean {
  return !covers(leaf, names) || Date.parse(leaf.validTo) - nowMs < RENEW_BEFORE_MS;
}

function covers(leaf: X509Certificate, names: readonly string[]): boolean {
  return names.every((name) =>
    isIP(name) === 0 ? leaf.checkHost(name) !== undefined : leaf.checkIP(name) !== undefined,
  );
}

/** SHA-256 of the subject public key info (RFC 7469 section 2.4). */
function fingerprintOf(certificate: X509Certificate): Uint8Array {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return new Uint8Array(createHash("sha256").update(spki).digest());
}

function attempt<T>(make: () => T): Result<T, unknown> {
  try {
    return ok(make());
  } catch (cause) {
    return err(cause);
  }
}

function damaged(what: string, cause: unknown): CertificateError {
  return { kind: "damaged", message: `${what}: give another file, or put it back from a backup.`, cause };
}

function missing(path: string): CertificateError {
  return { kind: "missing", message: `There is no ${path}: check the path in the configuration.` };
}

function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, "2026-01-01".length);
}
