import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { RelayCertificate } from "../../os/certificate.ts";
import { ok } from "../../wire/result.ts";
import type { CertificateSource } from "../certificate/source.ts";

interface Held {
  readonly leaf: X509Certificate;
  readonly context: SecureContext;
}

/** What TLS of sites is ended with. */
export class SiteCertificates {
  /** The operator's, for the names in it. */
  #given: Held | null = null;

  /** Shown to visitors of its names, and so is each that comes after it. */
  use(source: CertificateSource): void {
    this.#given = heldOf(source.current);
    source.follow((next) => {
      this.#given = heldOf(next);
      return ok(null);
    });
  }

  /** Null = there is none for this name. */
  contextOf(name: string): SecureContext | null {
    return this.#given !== null && covers(this.#given, name) ? this.#given.context : null;
  }

  /** Whether there is one, or will be. */
  canHave(host: string): boolean {
    return this.#given !== null && covers(this.#given, host);
  }
}

function heldOf({ certificatePem, keyPem }: RelayCertificate): Held {
  const context = createSecureContext({ cert: certificatePem, key: keyPem, minVersion: "TLSv1.2" });
  return { leaf: new X509Certificate(certificatePem), context };
}

/** A wildcard is covered by the same wildcard only. */
function covers({ leaf }: Held, host: string): boolean {
  return leaf.checkHost(host) !== undefined || listedNames(leaf).includes(host);
}

function listedNames({ subjectAltName }: X509Certificate): readonly string[] {
  return (subjectAltName ?? "").split(", ").map((name) => name.replace(/^DNS:/, "").toLowerCase());
}
