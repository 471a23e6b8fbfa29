import { areaLogger, type Logger } from "../../os/log.ts";
import { isIpv6 } from "../../wire/address.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { type Applied, KernelTable } from "./kernel-table.ts";
import { seesKernelPids, watchTransactions } from "./monitor.ts";
import { dropCounter, ENDED_SETS, STATIC_SET_NAMES, type StaticSetName, TABLE } from "./names.ts";
import { createNft } from "./nft.ts";
import {
  DROP_REASONS,
  type DropReason,
  type EndedConnection,
  type HeldNatPlane,
  type NatChange,
  type NatEntry,
  type NatError,
  type NatPlane,
  type NatSettings,
  type NatUsage,
} from "./state.ts";
import { TriggerWatch } from "./triggers.ts";
import { readUsage } from "./usage.ts";

export interface NatPlaneOptions {
  /**
   * Ends the connections that the kernel remembers for entries that are gone or changed, and those that came to a UDP
   * port before it was forwarded. An entry whose client is 0.0.0.0 or :: stands for the second kind only.
   */
  readonly forget: (entries: readonly NatEntry[]) => Promise<void>;
  /** What stands before `nft`, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Between two comparisons of the kernel with what it should hold. */
  readonly verifyEveryMs?: number;
  readonly log?: Logger;
}

type Answer = (result: Result<null, NatError>) => void;
type Job =
  | { readonly kind: "change"; readonly change: NatChange; readonly answer: Answer }
  | { readonly kind: "alone"; readonly run: () => Promise<void> };

const VERIFY_EVERY_MS = 60_000;
const VERIFY_PAUSE_MS = 1_000;
/** Where nobody is known to have touched anything, the comparison takes one part in 50 of the time: 3 s with 20,000 forwards. */
const VERIFY_SHARE = 49;
const OUR_PIDS_MAX = 64;
const CLOSED: NatError = { kind: "refused", message: "The gateway is stopping; ask again when it runs." };
const NOT_STARTED: NatError = { kind: "refused", message: "The gateway is not set up yet; ask again in a moment." };

/** The real one: nftables of the network namespace that it runs in, or that `prefix` leads to. */
export function createNatPlane(options: NatPlaneOptions): HeldNatPlane {
  return new KernelPlane(options);
}

class KernelPlane implements HeldNatPlane {
  readonly #options: NatPlaneOptions;
  readonly #log: Logger;
  readonly #ourPids = new Set<number>();
  readonly #nft;
  readonly #kernel: KernelTable;
  readonly #triggers: TriggerWatch;
  readonly #stop = new AbortController();
  readonly #background = new Set<Promise<void>>();
  #jobs: Job[] = [];
  #running: Promise<void> | null = null;
  #watching = false;
  #verifying: "no" | "queued" | "running" | "andAgain" = "no";
  /** A part of the comparison failed: nobody would tell that it is still to be done. */
  #unchecked = false;
  #verifiedAtMs = Number.NEGATIVE_INFINITY;
  #verifyTookMs = 0;
  #seesPids = false;

  constructor(options: NatPlaneOptions) {
    this.#options = options;
    this.#log = options.log ?? areaLogger("nat");
    this.#nft = createNft(options.prefix ?? [], (pid) => this.#noteOurs(pid));
    this.#kernel = new KernelTable(this.#nft);
    this.#triggers = new TriggerWatch(this.#nft);
  }

  replace(settings: NatSettings, entries: readonly NatEntry[]): Promise<Result<null, NatError>> {
    if (this.#stop.signal.aborted) return Promise.resolve(err(CLOSED));
    return this.#alone(async () => {
      const done = await this.#kernel.replace(settings, entries);
      if (done.ok) await this.#watch();
      return this.#settle(done);
    });
  }

  change(change: NatChange): Promise<Result<null, NatError>> {
    if (this.#stop.signal.aborted) return Promise.resolve(err(CLOSED));
    return new Promise((answer) => this.#enqueue({ kind: "change", change, answer }));
  }

  get entries(): ReadonlyMap<string, NatEntry> {
    return this.#kernel.entries;
  }

  shut({ visitor, entry }: EndedConnection): Promise<Result<null, NatError>> {
    if (this.#stop.signal.aborted) return Promise.resolve(err(CLOSED));
    const to = isIpv6(entry.address) ? `${entry.address} . ${entry.port}` : `${entry.port}`;
    const element = `${visitor.address} . ${visitor.port} . ${to}`;
    const set = ENDED_SETS[isIpv6(entry.address) ? 6 : 4];
    return this.#alone(() => this.#nft.apply(`add element ${TABLE} ${set} { ${element} }\n`));
  }

  async usage(): Promise<ReadonlyMap<string, NatUsage>> {
    const read = await readUsage(this.#nft, new Map(this.#kernel.entries));
    return read.ok ? read.value : this.#unread(new Map(), read.error);
  }

  async drops(): Promise<Readonly<Record<DropReason, number>>> {
    const table = await this.#nft.table();
    const counters = table.ok ? table.value?.counters : this.#unread(undefined, table.error);
    return Object.fromEntries(
      DROP_REASONS.map((reason) => [reason, counters?.get(dropCounter(reason)) ?? 0]),
    ) as Record<DropReason, number>;
  }

  async openTriggers(): ReturnType<NatPlane["openTriggers"]> {
    const { settings } = this.#kernel;
    if (settings === null) return [];
    const looked = await this.#triggers.look(settings);
    if (!looked.ok) return this.#unread([], looked.error);
    this.#forget(looked.value.closed);
    return looked.value.open;
  }

  async close({ clean }: { readonly clean: boolean }): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort();
      const removed = clean && this.#kernel.settings !== null ? this.#alone(() => this.#removeTable()) : null;
      const result = await removed;
      if (result !== null && !result.ok)
        this.#log.error("The rules stay in the kernel: {message}", { ...result.error });
    }
    await this.#running;
    await Promise.all(this.#background);
  }

  async #removeTable(): Promise<Result<null, NatError>> {
    // `add` first: deleting what somebody else has deleted is no failure.
    return await this.#nft.apply(`add table ${TABLE}\ndelete table ${TABLE}\n`);
  }

  #alone(run: () => Promise<Result<null, NatError>>): Promise<Result<null, NatError>> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ kind: "alone", run: () => run().then(resolve, reject) });
    });
  }

  #enqueue(job: Job): void {
    this.#jobs.push(job);
    this.#running ??= this.#drain();
  }

  /** One transaction at a time; changes that wait together go in one. */
  async #drain(): Promise<void> {
    // What is asked in this turn of the loop comes together.
    await Promise.resolve();
    try {
      for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
        if (job.kind === "alone") {
          await job.run();
          continue;
        }
        const batch = [job];
        while (this.#jobs[0]?.kind === "change") batch.push(this.#jobs.shift() as typeof job);
        await this.#runChanges(batch);
      }
    } finally {
      this.#running = null;
    }
  }

  async #runChanges(batch: readonly Extract<Job, { kind: "change" }>[]): Promise<void> {
    if (this.#kernel.settings === null) {
      for (const { answer } of batch) answer(err(NOT_STARTED));
      return;
    }
    const results = await this.#kernel.change(batch.map(({ change }) => change));
    for (const [at, { answer }] of batch.entries()) {
      const result = results[at];
      if (result !== undefined) answer(this.#settle(result));
    }
  }

  #settle(result: Result<Applied, NatError>): Result<null, NatError> {
    if (!result.ok) return result;
    if (result.value.mended) this.#log.info("The kernel did not hold what it should; mended");
    this.#forget(result.value.stale);
    return ok(null);
  }

  #forget(entries: readonly NatEntry[]): void {
    if (entries.length > 0) this.#inBackground("forget old connections", () => this.#options.forget(entries));
  }

  #inBackground(what: string, run: () => Promise<void>): void {
    const task: Promise<void> = run()
      .catch((error: unknown) => this.#log.error("Could not {what}: {error}", { what, error: String(error) }))
      .finally(() => this.#background.delete(task));
    this.#background.add(task);
  }

  /** The monitor tells of a transaction soon after it; one that failed or changed nothing is not told. */
  #noteOurs(pid: number): void {
    this.#ourPids.add(pid);
    const [oldest] = this.#ourPids;
    if (this.#ourPids.size > OUR_PIDS_MAX && oldest !== undefined) this.#ourPids.delete(oldest);
  }

  /**
   * From the first `replace` on: before it there is nothing to compare with, and nft 1.0.6's monitor crashes on an element
   * of a set that was made while it started.
   */
  async #watch(): Promise<void> {
    if (this.#watching || this.#stop.signal.aborted) return;
    this.#watching = true;
    this.#seesPids = await seesKernelPids();
    const { signal } = this.#stop;
    const regularly = () => {
      if (performance.now() - this.#verifiedAtMs > VERIFY_SHARE * this.#verifyTookMs) this.#queueVerify();
    };
    const timer = setInterval(regularly, this.#options.verifyEveryMs ?? VERIFY_EVERY_MS);
    timer.unref();
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    this.#inBackground("watch the firewall", () =>
      watchTransactions({
        prefix: this.#options.prefix ?? [],
        isOurs: (pid) => (this.#seesPids ? this.#ourPids.delete(pid) : this.#running !== null),
        onForeign: () => this.#queueVerify(),
        signal,
        log: this.#log,
      }),
    );
  }

  /** Not more often than each VERIFY_PAUSE_MS: two programs that undo each other's work must not use up the machine. */
  #queueVerify(): void {
    if (this.#verifying === "running") this.#verifying = "andAgain";
    if (this.#verifying !== "no" || this.#stop.signal.aborted) return;
    this.#verifying = "queued";
    const delayMs = Math.max(0, this.#verifiedAtMs + VERIFY_PAUSE_MS - performance.now());
    const timer = setTimeout(() => this.#enqueue({ kind: "alone", run: () => this.#verify() }), delayMs);
    this.#stop.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  async #verify(): Promise<void> {
    this.#verifying = "running";
    const beganMs = performance.now();
    this.#compared(await this.#kernel.verifyRules());
    await this.openTriggers();
    this.#verifySets(STATIC_SET_NAMES, beganMs);
  }

  /** A job for each set: a change that comes meanwhile waits for one of them at most. */
  #verifySets([set, ...others]: readonly StaticSetName[], beganMs: number): void {
    if (set !== undefined && !this.#stop.signal.aborted) {
      const run = async () => {
        this.#compared(await this.#kernel.verifySet(set));
        this.#verifySets(others, beganMs);
      };
      this.#enqueue({ kind: "alone", run });
      return;
    }
    this.#verifiedAtMs = performance.now();
    this.#verifyTookMs = this.#verifiedAtMs - beganMs;
    const again = this.#verifying === "andAgain" || this.#unchecked;
    this.#verifying = "no";
    this.#unchecked = false;
    if (again) this.#queueVerify();
  }

  #compared(result: Result<Applied, NatError>): void {
    const done = this.#settle(result);
    if (done.ok) return;
    this.#unchecked = true;
    this.#log.error("The kernel's rules could not be checked and will be again: {message}", { ...done.error });
  }

  #unread<T>(nothing: T, error: NatError): T {
    this.#log.warn("The kernel's counters could not be read: {message}", { ...error });
    return nothing;
  }
}
