import { type AcmeFailure, acmePlan, afterFailure, mayRetryAtOnce, renewAtMs } from "../../core/acme/plan.ts";
import type { NameProof } from "../../core/acme/steps.ts";
import { waysOfTry } from "../../core/acme/ways.ts";
import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import { certificateOf, type RelayCertificate } from "../../os/certificate.ts";
import { messageOf } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import { type AcmeRecord, type AcmeWish, readAcme, writeAcme } from "../../store/acme-state.ts";
import type { ChallengeType } from "../../wire/acme/messages.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { CertificateHolder, type CertificateSource, type Looked, type TakeCertificate } from "../certificate/source.ts";
import { type AcmeSettings, ControlError } from "../control.ts";
import { AccountKey } from "./account-key.ts";
import { AcmeClient } from "./client.ts";
import { type Obtained, obtainCertificate } from "./obtain.ts";

export interface AcmeCertificateOptions {
  readonly settings: Omit<AcmeSettings, "listen">;
  /** PEM of the CA that vouches for the server itself; null = the system's. */
  readonly ca: string | null;
  readonly dataDir: string;
  /** Shared by several certificates; absent = it has one of its own. */
  readonly account?: { readonly directory: string; readonly keyPem: string };
  /** Shown until there is one. */
  readonly fallback: CertificateSource;
  /** How names can be proven, the best first. */
  readonly ways: readonly ChallengeType[];
  /** See ObtainOptions. */
  publish(proof: NameProof): Promise<() => void>;
  /** A CA that comes now comes to this process: before that nothing is ordered. */
  canProve(): boolean;
  wallMs(): number;
  random(): number;
  pause(ms: number): Promise<void>;
  readonly log: Logger;
  /** Ends an order that is under way. */
  readonly signal: AbortSignal;
}

/** A certificate that is ordered when it is due, and renewed by itself. What it knows is on the disk. */
export class AcmeCertificate implements CertificateSource, Sweepable {
  readonly #options: AcmeCertificateOptions;
  readonly #holder: CertificateHolder;
  readonly #wish: AcmeWish;
  #record: AcmeRecord;
  /** It is no longer the fallback's. */
  #own: boolean;
  #ordering: Promise<void> | null = null;
  /** A person wants what failed tried again now. */
  #isHurried = false;

  private constructor(options: AcmeCertificateOptions, record: AcmeRecord, present: RelayCertificate | null) {
    const { settings, fallback, log } = options;
    this.#options = options;
    this.#record = record;
    this.#wish = { directory: settings.directory, hosts: settings.hosts };
    this.#own = present !== null;
    this.#holder = new CertificateHolder(present ?? fallback.current, (message) => log.warn("{message}", { message }));
    fallback.follow((certificate) => {
      if (!this.#own) this.#holder.replace(certificate);
      return ok(null);
    });
  }

  /** Throws ControlError `failed` when what is on the disk cannot be used. */
  static async open(options: AcmeCertificateOptions): Promise<AcmeCertificate> {
    const { dataDir, wallMs } = options;
    const record = await readAcme(dataDir);
    if (!record.ok) throw new ControlError("failed", record.error.message);
    const { certificate } = record.value;
    const present = certificate === null ? null : certificateOf(certificate.chainPem, certificate.keyPem, []);
    const isGood = present !== null && wallMs() < present.notAfterMs;
    return new AcmeCertificate(options, record.value, isGood ? present : null);
  }

  get current(): RelayCertificate {
    return this.#holder.current;
  }

  /** It is not the fallback's. */
  get isOwn(): boolean {
    return this.#own;
  }

  get isOrdering(): boolean {
    return this.#ordering !== null;
  }

  /** Why the last order came to nothing; null = it did not. */
  get problem(): string | null {
    return this.#failed()?.message ?? null;
  }

  /** Unix time of the next order; null = the last one did not come to nothing. */
  get retryAtMs(): number | null {
    return this.#failed()?.retryAtMs ?? null;
  }

  follow(take: TakeCertificate): void {
    this.#holder.follow(take);
  }

  sweep(): void {
    this.#holder.settle();
    if (this.isDue) this.#begin();
  }

  /** It is to be ordered now. */
  get isDue(): boolean {
    return this.#isHurried || acmePlan(this.#state(), this.#options.wallMs()).kind === "order";
  }

  /** Makes what failed due now. False = that is not for a person to do, as `waitSentence` says. */
  hurry(): boolean {
    const failed = this.#failed();
    this.#isHurried = failed !== null && !this.isOrdering && mayRetryAtOnce(failed, this.#options.wallMs());
    return this.#isHurried || failed === null || this.isOrdering;
  }

  /** What failed, and when it is tried again. */
  get waitSentence(): string {
    const failed = this.#failed();
    return failed === null ? "" : `${failed.message} The next try is at ${isoTime(failed.retryAtMs)}.`;
  }

  /** The server asked for a pause less than `ms` ago. */
  wasLimited(ms: number): boolean {
    const failed = this.#failed();
    return failed?.limited === true && this.#options.wallMs() < failed.lastMs + ms;
  }

  async look(): Promise<Looked> {
    if (!this.hurry()) return { kind: "refused", message: this.waitSentence };
    if (this.#isHurried) this.#begin();
    return { kind: "same" };
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#ordering;
  }

  #failed() {
    const { failed } = this.#record;
    return failed !== null && this.#isWished(failed.wish) ? failed : null;
  }

  #state() {
    const { certificate } = this.#record;
    const isOurs = certificate !== null && this.#own && this.#isWished(certificate.wish);
    return { certificate: isOurs ? certificate : null, failed: this.#failed() };
  }

  #isWished(wish: AcmeWish): boolean {
    return Bun.deepEquals(wish, this.#wish);
  }

  #begin(): void {
    const { signal, canProve } = this.#options;
    if (this.#ordering !== null || signal.aborted || !canProve()) return;
    this.#isHurried = false;
    this.#ordering = this.#order().finally(() => {
      this.#ordering = null;
    });
  }

  async #order(): Promise<void> {
    const { signal, log, wallMs, random } = this.#options;
    const { hosts } = this.#wish;
    log.info("a certificate is ordered", { hosts, directory: this.#wish.directory });
    const outcome = await this.#obtain().catch((error: unknown) =>
      err(refused(`The order of a certificate failed (${messageOf(error)}).`)),
    );
    // Whatever failed then failed because all ends.
    if (signal.aborted) return;
    if (outcome.ok) return this.#take(outcome.value);
    const failed = afterFailure(this.#failed(), outcome.error, wallMs(), random());
    log.warn("{message}", { message: outcome.error.message, next: isoTime(failed.retryAtMs) });
    await this.#saveOrWarn({ ...this.#record, failed: { ...failed, wish: this.#wish } });
  }

  async #obtain(): Promise<Result<Obtained & { readonly certificate: RelayCertificate }, AcmeFailure>> {
    const { settings, ca, publish, wallMs, pause, signal } = this.#options;
    const { directory, hosts } = this.#wish;
    const known = this.#record.account;
    const shared = this.#options.account;
    const present = shared?.directory === directory ? shared : known;
    const account = present?.directory === directory ? present : { directory, keyPem: AccountKey.generate().pem };
    // Also when it is known: what cannot be kept is not to be ordered, for a restart would order it again.
    const saved = await this.#save({ ...this.#record, account });
    if (!saved.ok) return saved;
    const key = new AccountKey(account.keyPem);
    const client = new AcmeClient({ directory, ca, key, wallMs, signal });
    // Asked each time: it gives the account that there is (RFC 8555 section 7.3.1), also one that was made anew.
    const registered = await client.account(settings.email);
    if (!registered.ok) return registered;
    const ways = waysOfTry(this.#options.ways, this.#failed()?.count ?? 0);
    const orderer = registered.value;
    const obtained = await obtainCertificate({ client, key, account: orderer, hosts, ways, publish, wallMs, pause });
    if (!obtained.ok) return obtained;
    const { chainPem, keyPem } = obtained.value;
    const certificate = certificateOf(chainPem, keyPem, hosts);
    if (certificate !== null) return ok({ chainPem, keyPem, certificate });
    return err(refused("The ACME server gave a certificate for another key or other names: it is ordered again."));
  }

  async #take({ chainPem, keyPem, certificate }: Obtained & { readonly certificate: RelayCertificate }): Promise<void> {
    const { log, random } = this.#options;
    const renewMs = renewAtMs(certificate.notBeforeMs, certificate.notAfterMs, random());
    await this.#saveOrWarn({
      ...this.#record,
      certificate: { wish: this.#wish, chainPem, keyPem, renewAtMs: renewMs },
      failed: null,
    });
    this.#own = true;
    log.info("a certificate came", { hosts: this.#wish.hosts, until: isoTime(certificate.notAfterMs) });
    this.#holder.replace(certificate);
  }

  /** What cannot be written counts for this run all the same. */
  async #save(record: AcmeRecord): Promise<Result<null, AcmeFailure>> {
    this.#record = record;
    const written = await writeAcme(this.#options.dataDir, record);
    return written.ok ? ok(null) : err(refused(written.error.message));
  }

  async #saveOrWarn(record: AcmeRecord): Promise<void> {
    const saved = await this.#save(record);
    if (!saved.ok) this.#options.log.warn("{message}", { message: saved.error.message });
  }
}

function refused(message: string): AcmeFailure {
  return { kind: "refused", message, notBeforeMs: null };
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
