import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import { type ProofPorts, proofWays } from "../../core/acme/ways.ts";
import type { SiteCertificate } from "../../core/names/certificates.ts";
import type { Sweepable } from "../../dataplanes/io/sweeper.ts";
import { nowMs } from "../../os/clock.ts";
import { messageOf } from "../../os/errors.ts";
import type { Logger } from "../../os/log.ts";
import { dataPaths } from "../../os/paths.ts";
import type { Proofs } from "../../servers/names/proofs.ts";
import { readAcme, writeAcme } from "../../store/acme-state.ts";
import { ok } from "../../wire/result.ts";
import { AccountKey } from "../acme/account-key.ts";
import { AcmeCertificate } from "../acme/certificate.ts";
import type { CertificateSource, Looked } from "../certificate/source.ts";
import { readPem } from "../certificates.ts";
import { ControlError, type NamesSettings } from "../control.ts";
import { pause } from "../pause.ts";
import { publishProof } from "./proofs.ts";
import { contextFor } from "./site-certificates.ts";

/** Orders that are under way at once: the others wait a second for their turn. */
const MOST_ORDERS = 4;
/** Nothing is ordered for so long after a CA wanted no more orders. */
const LIMITED_MS = 60_000;
/** Certificates at once; beyond that a name gets none until another one is gone. */
const MOST_NAMES = 5_000;

export interface SiteAcmeOptions {
  readonly settings: NonNullable<NamesSettings["acme"]>;
  /** Of the relay: here is a directory for each name. */
  readonly dataDir: string;
  /** What an order that is not through has; it is shown to nobody. */
  readonly fallback: CertificateSource;
  /** Where visitors come in, as configured. */
  readonly ports: ProofPorts;
  readonly proofs: Proofs;
  /** See AcmeCertificateOptions. */
  canProve(): boolean;
  /** The names that want a certificate now. */
  wanted(): readonly string[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Account {
  readonly directory: string;
  readonly keyPem: string;
}

interface Held {
  /** Resolves when its file was read. */
  opening: Promise<void>;
  /** Null while its file is read. */
  source: AcmeCertificate | null;
  context: SecureContext | null;
  /** Why its file cannot be had, one sentence; null = it can. */
  unkept: string | null;
}

const FULL: SiteCertificate = {
  kind: "failed",
  message: `The relay has ${MOST_NAMES} certificates of sites, which is the most: remove some, or give a certificate by files.`,
  retryAtMs: null,
};

/** A certificate for each name of a site, ordered when the site is opened and renewed by itself, with one account for all. */
export class SiteAcme implements Sweepable {
  readonly #options: SiteAcmeOptions;
  readonly #directory: string;
  readonly #ca: string | null;
  readonly #account: Account;
  readonly #byName = new Map<string, Held>();

  private constructor(options: SiteAcmeOptions, directory: string, ca: string | null, account: Account) {
    this.#options = options;
    this.#directory = directory;
    this.#ca = ca;
    this.#account = account;
  }

  /** Throws ControlError when what is on the disk cannot be used. */
  static async open(options: SiteAcmeOptions): Promise<SiteAcme> {
    const { settings, dataDir } = options;
    const directory = dataPaths(dataDir).sites;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const ca = settings.ca === null ? null : await readPem(settings.ca);
    const record = await readAcme(directory);
    if (!record.ok) throw new ControlError("failed", record.error.message);
    const known = record.value.account;
    if (known?.directory === settings.directory) return new SiteAcme(options, directory, ca, known);
    const account = { directory: settings.directory, keyPem: AccountKey.generate().pem };
    const written = await writeAcme(directory, { ...record.value, account });
    if (!written.ok) throw new ControlError("failed", written.error.message);
    return new SiteAcme(options, directory, ca, account);
  }

  /** Null = there is none, perhaps not yet. */
  contextOf(name: string): SecureContext | null {
    return this.#byName.get(name)?.context ?? null;
  }

  /** A certificate that has not ended goes before what becomes of the next one. */
  stateOf(name: string): SiteCertificate {
    const held = this.#byName.get(name);
    if (held === undefined) return this.#byName.size < MOST_NAMES ? { kind: "ordered" } : FULL;
    const { source, unkept } = held;
    if (unkept !== null) return { kind: "failed", message: unkept, retryAtMs: null };
    if (source === null) return { kind: "ordered" };
    if (source.isOwn && nowMs() < source.current.notAfterMs) return { kind: "there" };
    const { problem, retryAtMs, isOrdering, isDue } = source;
    return problem === null || isOrdering || isDue
      ? { kind: "ordered" }
      : { kind: "failed", message: problem, retryAtMs };
  }

  sweep(): void {
    const wanted = new Set(this.#options.wanted());
    for (const name of this.#byName.keys()) if (!wanted.has(name)) this.#byName.delete(name);
    const sources = [...this.#byName.values()].flatMap(({ source }) => source ?? []);
    let ordering = sources.filter(({ isOrdering }) => isOrdering).length;
    // One name's limit may be the account's: the others do not run against it at once.
    const isLimited = sources.some((source) => source.wasLimited(LIMITED_MS));
    for (const name of wanted) {
      const held = this.#byName.get(name);
      if (held === undefined) this.#begin(name);
      else if (held.source !== null && ordering < MOST_ORDERS && !isLimited) {
        held.source.sweep();
        if (held.source.isOrdering) ordering++;
      }
    }
  }

  /** A person may have mended what failed: it is tried again now, as far as the CA bears it. */
  async look(): Promise<Looked> {
    const waiting: string[] = [];
    for (const [name, { source, unkept }] of this.#byName) {
      if (unkept !== null) this.#byName.delete(name);
      else if (source?.hurry() === false) waiting.push(source.waitSentence);
    }
    this.sweep();
    const [first] = waiting;
    if (first === undefined) return { kind: "same" };
    const more = waiting.length === 1 ? "" : ` So it is with ${waiting.length - 1} more names of sites.`;
    return { kind: "refused", message: `${first}${more}` };
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.#byName.values()].map(({ opening }) => opening));
    await Promise.all([...this.#byName.values()].map(({ source }) => source?.idle()));
  }

  #begin(name: string): void {
    if (this.#byName.size >= MOST_NAMES || this.#options.signal.aborted) return;
    const held: Held = { opening: Promise.resolve(), source: null, context: null, unkept: null };
    this.#byName.set(name, held);
    held.opening = this.#open(name, held).catch((error: unknown) => {
      held.unkept = `The certificate of ${name} cannot be kept (${messageOf(error)}): mend that, and reload the relay.`;
      this.#options.log.warn("{message}", { message: held.unkept });
    });
  }

  async #open(name: string, held: Held): Promise<void> {
    const { settings, ports, proofs, canProve, fallback, log, signal } = this.#options;
    // A name that was checked has no character that means something in a path.
    const dataDir = join(this.#directory, name);
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const source = await AcmeCertificate.open({
      settings: { ...settings, hosts: [name] },
      ca: this.#ca,
      account: this.#account,
      dataDir,
      fallback,
      ways: proofWays(settings.challenge, ports),
      publish: (proof) => publishProof(proofs, proof),
      canProve,
      wallMs: nowMs,
      random: Math.random,
      pause: (ms) => pause(ms, signal),
      log,
      signal,
    });
    if (source.isOwn) held.context = contextFor(source.current);
    source.follow((next) => {
      if (source.isOwn) held.context = contextFor(next);
      return ok(null);
    });
    held.source = source;
  }
}
