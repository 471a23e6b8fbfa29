import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { SiteCertificate } from "../../core/names/certificates.ts";
import { noCertificate } from "../../core/names/policy.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import { ok } from "../../wire/result.ts";
import { isWildcard } from "../../wire/site-name.ts";
import type { CertificateSource } from "../certificate/source.ts";

/** What is ordered for single names. */
interface Ordered {
  contextOf(name: string): SecureContext | null;
  stateOf(name: string): SiteCertificate;
}

interface Held {
  readonly leaf: X509Certificate;
  readonly context: SecureContext;
}

/** What TLS of sites is ended with. */
export class SiteCertificates {
  /** The operator's, for the names in it. */
  #given: Held | null = null;
  #ordered: Ordered | null = null;

  /** Shown to visitors of its names, and so is each that comes after it. */
  use(source: CertificateSource): void {
    this.#given = heldOf(source.current);
    source.follow((next) => {
      this.#given = heldOf(next);
      return ok(null);
    });
  }

  /** For all other names, one by one. */
  order(acme: Ordered): void {
    this.#ordered = acme;
  }

  /** Null = there is none for this name, perhaps not yet. */
  contextOf(name: string): SecureContext | null {
    if (this.#given !== null && covers(this.#given, name)) return this.#given.context;
    return this.#ordered?.contextOf(name) ?? null;
  }

  stateOf(host: string): SiteCertificate {
    if (this.isGiven(host)) return { kind: "there" };
    if (this.#ordered !== null && !isWildcard(host)) return this.#ordered.stateOf(host);
    // It was there, or could be ordered, when the site was opened.
    return { kind: "failed", message: noCertificate(host), retryAtMs: null };
  }

  isGiven(host: string): boolean {
    return this.#given !== null && covers(this.#given, host);
  }

  /** Whether there is one, or will be. */
  canHave(host: string): boolean {
    return this.isGiven(host) || (this.#ordered !== null && !isWildcard(host));
  }
}

export function contextFor({
  certificatePem,
  keyPem,
}: Pick<RelayCertificate, "certificatePem" | "keyPem">): SecureContext {
  return createSecureContext({ cert: certificatePem, key: keyPem, minVersion: "TLSv1.2" });
}

function heldOf(certificate: RelayCertificate): Held {
  return { leaf: new X509Certificate(certificate.certificatePem), context: contextFor(certificate) };
}

/** A wildcard is covered by the same wildcard only. */
function covers({ leaf }: Held, host: string): boolean {
  return leaf.checkHost(host) !== undefined || listedNames(leaf).includes(host);
}

function listedNames({ subjectAltName }: X509Certificate): readonly string[] {
  return (subjectAltName ?? "").split(", ").map((name) => name.replace(/^DNS:/, "").toLowerCase());
}
