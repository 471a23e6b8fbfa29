import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import { loadCertificatePair, type RelayCertificate } from "../../os/certificate.ts";
import type { CertificateFiles } from "../control.ts";
import { CertificateHolder, type CertificateSource, type Looked, type TakeCertificate } from "./source.ts";

/**
 * Between two looks. Reading two small files costs less than being wrong about what changed: their time of change says
 * nothing where a path leads through links, as certbot's do.
 */
const LOOK_EVERY_MS = 30_000;

export interface CertificateFilesOptions {
  readonly files: CertificateFiles;
  /** Loaded from them already. */
  readonly current: RelayCertificate;
  wallMs(): number;
  onRenewed(certificate: RelayCertificate): void;
  /** One sentence. */
  warn(message: string): void;
}

/** The operator's certificate: whatever renews it need not tell us. */
export class FileCertificate implements CertificateSource, Sweepable {
  readonly #options: CertificateFilesOptions;
  readonly #holder: CertificateHolder;
  #nextLookMs: number | null = null;
  #looking: Promise<Looked> | null = null;
  /** What the last look refused, and whether that was told. */
  #refused: string | null = null;
  #told = false;

  constructor(options: CertificateFilesOptions) {
    this.#options = options;
    this.#holder = new CertificateHolder(options.current, options.warn);
  }

  get current(): RelayCertificate {
    return this.#holder.current;
  }

  follow(take: TakeCertificate): void {
    this.#holder.follow(take);
  }

  sweep(nowMs: number): void {
    this.#nextLookMs ??= nowMs + LOOK_EVERY_MS;
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + LOOK_EVERY_MS;
    void this.#lookByItself();
  }

  /** Whatever is under way is waited for: two looks at once could take the older files last. */
  look(): Promise<Looked> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** A pair that does not fit may be half written: it is told when the next look finds the same. */
  async #lookByItself(): Promise<void> {
    const before = this.#refused;
    const looked = await this.look();
    if (looked.kind !== "refused" || looked.message !== before || this.#told) return;
    this.#told = true;
    this.#options.warn(looked.message);
  }

  async #look(): Promise<Looked> {
    const { files, wallMs, onRenewed } = this.#options;
    this.#holder.settle();
    const { certificatePem, keyPem } = this.#holder.current;
    const loaded = await loadCertificatePair(files.certificate, files.key, wallMs());
    if (!loaded.ok) {
      const { message } = loaded.error;
      if (this.#refused !== message) this.#told = false;
      this.#refused = message;
      return { kind: "refused", message };
    }
    this.#refused = null;
    if (loaded.value.certificatePem === certificatePem && loaded.value.keyPem === keyPem) return { kind: "same" };
    onRenewed(loaded.value);
    this.#holder.replace(loaded.value);
    return { kind: "renewed" };
  }
}
