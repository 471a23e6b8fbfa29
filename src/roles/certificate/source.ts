import type { RelayCertificate } from "../../os/certificate.ts";
import type { Result } from "../../wire/result.ts";

/** What a look at where a certificate comes from found. */
export type Looked =
  | { readonly kind: "same" }
  | { readonly kind: "renewed" }
  /** The one before goes on. `message`: one sentence that says what to do. */
  | { readonly kind: "refused"; readonly message: string };

/** Shows a certificate to its peers. An error is one sentence: it is asked again later. */
export type TakeCertificate = (certificate: RelayCertificate) => Result<null, string>;

/** A certificate that may be another one later. */
export interface CertificateSource {
  readonly current: RelayCertificate;
  /** Calls `take` with each certificate that comes after the present one. */
  follow(take: TakeCertificate): void;
  /** Looks now whether there is another one. */
  look(): Promise<Looked>;
}

interface Follower {
  readonly take: TakeCertificate;
  shows: RelayCertificate;
}

/** The present certificate of a source, and who shows it. */
export class CertificateHolder {
  readonly #followers: Follower[] = [];
  readonly #warn: (message: string) => void;
  #current: RelayCertificate;

  constructor(current: RelayCertificate, warn: (message: string) => void) {
    this.#current = current;
    this.#warn = warn;
  }

  get current(): RelayCertificate {
    return this.#current;
  }

  follow(take: TakeCertificate): void {
    this.#followers.push({ take, shows: this.#current });
  }

  replace(certificate: RelayCertificate): void {
    this.#current = certificate;
    this.settle();
  }

  /** Gives the present one to those that could not take it before. */
  settle(): void {
    for (const follower of this.#followers) {
      if (follower.shows === this.#current) continue;
      const taken = follower.take(this.#current);
      if (taken.ok) follower.shows = this.#current;
      else this.#warn(taken.error);
    }
  }
}

/** A certificate that stays. */
export function fixedCertificate(current: RelayCertificate): CertificateSource {
  return { current, follow: () => undefined, look: async () => ({ kind: "same" }) };
}

/** As listeners take it. */
export function tlsPair({ certificatePem: cert, keyPem: key }: RelayCertificate) {
  return { cert, key };
}
