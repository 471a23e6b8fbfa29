import type { CertificatePair } from "../dataplanes/tunnel/tls.ts";
import { loadCertificatePair, loadOrCreateRelayCertificate, type RelayCertificate } from "../os/certificate.ts";
import { readText } from "../os/files.ts";
import { type CertificateFiles, ControlError, type RelaySettings } from "./control.ts";

/** What a relay shows to agents, and how they are to know it again. */
export interface RelayIdentity {
  readonly certificate: RelayCertificate;
  /** `pinned`: our own, known by its key. `public-ca`: the operator's, verified like a web site's. */
  readonly trust: "pinned" | "public-ca";
  /** PEM of the CA that agents' own certificates must come from; null = agents need none. */
  readonly clientCa: string | null;
}

/** The operator's certificate if the config names one, else our own from the data directory. Throws ControlError. */
export async function loadRelayIdentity(
  settings: RelaySettings,
  dataDir: string,
  publicHost: string,
  nowMs: number,
): Promise<RelayIdentity> {
  const clientCa = settings.clientCa === null ? null : await readPem(settings.clientCa);
  if (settings.certificate !== null) {
    return { certificate: await loadPair(settings.certificate, nowMs), trust: "public-ca", clientCa };
  }
  return { certificate: await loadOwnCertificate(dataDir, [publicHost], nowMs), trust: "pinned", clientCa };
}

/** One of our making, from the data directory. `names`: what people type. Throws ControlError `failed`. */
export async function loadOwnCertificate(
  dataDir: string,
  names: readonly string[],
  nowMs: number,
): Promise<RelayCertificate> {
  const own = await loadOrCreateRelayCertificate(dataDir, names, nowMs);
  if (!own.ok) throw new ControlError("failed", own.error.message);
  return own.value;
}

/** The certificate an agent shows to a relay that asks for one. Throws ControlError `usage`. */
export async function loadClientCertificate(
  files: CertificateFiles | null,
  nowMs: number,
): Promise<CertificatePair | null> {
  if (files === null) return null;
  const { certificatePem, keyPem } = await loadPair(files, nowMs);
  return { cert: certificatePem, key: keyPem };
}

/** Throws ControlError `usage`. */
export async function loadPair({ certificate, key }: CertificateFiles, nowMs: number): Promise<RelayCertificate> {
  const pair = await loadCertificatePair(certificate, key, nowMs);
  if (!pair.ok) throw new ControlError("usage", pair.error.message);
  return pair.value;
}

/** Certificates in PEM. Throws ControlError `usage`. */
export async function readPem(path: string): Promise<string> {
  const text = await readText(path);
  if (!text.ok) throw new ControlError("usage", text.error.message);
  if (text.value?.includes("-----BEGIN CERTIFICATE-----") === true) return text.value;
  const problem = text.value === null ? `There is no file ${path}` : `${path} holds no certificate in PEM`;
  throw new ControlError("usage", `${problem}: name a file of CA certificates.`);
}
