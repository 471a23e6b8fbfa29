import type { RelayCertificate } from "../../os/certificate.ts";
import { loadPair } from "../certificates.ts";
import type { CertificateFiles } from "../control.ts";
import { type OpenCertificateOptions, openCertificate } from "./open.ts";
import type { CertificateSource } from "./source.ts";

/** A file, or what is made of some, that may be another one later. */
export type Lookable = Pick<CertificateSource, "look">;

/** The certificates of one process, and the other files that a reload looks at. */
export class WatchedFiles {
  readonly #options: OpenCertificateOptions;
  readonly #all = new Map<string, Lookable>();

  constructor(options: OpenCertificateOptions) {
    this.#options = options;
  }

  /** By their keys of the config. */
  get all(): ReadonlyMap<string, Lookable> {
    return this.#all;
  }

  add(key: string, what: Lookable): void {
    this.#all.set(key, what);
  }

  /** A certificate that was loaded from `files`; null = one of our making, which stays. */
  certificate(key: string, files: CertificateFiles | null, current: RelayCertificate): CertificateSource {
    const source = openCertificate(key, files, current, this.#options);
    this.add(key, source);
    return source;
  }

  /** Loads it first. Rejects with ControlError when it cannot be used. */
  async load(key: string, files: CertificateFiles): Promise<CertificateSource> {
    return this.certificate(key, files, await loadPair(files, this.#options.wallMs()));
  }
}
