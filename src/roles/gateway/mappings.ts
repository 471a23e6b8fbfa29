import type { Owner } from "../../core/held.ts";
import type { HeldMapping, MappingBook, MappingOutcome } from "../../core/mapping/book.ts";
import { type SavedEpoch, ServerEpoch } from "../../core/mapping/epoch.ts";
import type { MappingSpec } from "../../core/mapping/spec.ts";
import { same } from "../../core/same.ts";
import type { NatEntry, NatLimits, NatPlane, NatSettings, NatUsage } from "../../dataplanes/nat/state.ts";
import type { MappingChange } from "../../store/mappings.ts";
import type { Store } from "../../store/store.ts";
import { ControlError } from "../control.ts";
import { Journal, type JournalFailure } from "../journal.ts";
import { entryIds, natEntries } from "./entries.ts";

/** What became of a mapping, for whoever follows. */
export interface MappingNews {
  readonly event: "opened" | "changed" | "closed";
  readonly held: HeldMapping;
  /** Why it was closed. */
  readonly reason: "removed" | "expired" | null;
}

export interface GatewayMappingsOptions {
  readonly book: MappingBook;
  readonly plane: NatPlane;
  readonly store: Pick<Store, "mappings">;
  limits(): NatLimits;
  /** Whether visitors may reach it now: a peer of the VPN may take nothing. */
  isOpen(spec: MappingSpec): boolean;
  /** What the kernel is to hold besides mappings. */
  extraEntries(): readonly NatEntry[];
  /** Monotonic. */
  nowMs(): number;
  wallMs(): number;
  onNews(news: MappingNews): void;
  warn(message: string): void;
}

/**
 * Carries out what the book decided: the kernel and the disk at the same time, and who asked is answered after both.
 * When one of the two fails, the book is as it was before and so is the kernel; the next start, and the kernel's own
 * reconciliation, go by the book.
 */
export class GatewayMappings {
  readonly #options: GatewayMappingsOptions;
  readonly #journal: Journal<MappingChange, never>;

  constructor(options: GatewayMappingsOptions) {
    this.#options = options;
    const { mappings } = options.store;
    this.#journal = new Journal<MappingChange, never>({
      apply: (changes) => mappings.apply(changes, options.wallMs()),
    });
  }

  /**
   * Holds again what was granted before the start, behind what the configuration asks for. The epoch goes on: to clients
   * the table is as it was.
   */
  async restore(fixed: readonly MappingSpec[]): Promise<ServerEpoch> {
    const { book, store, warn } = this.#options;
    const [rows, saved] = [await store.mappings.list(warn), await store.mappings.epoch()];
    for (const spec of fixed) {
      const put = book.put(spec, this.#options.nowMs());
      if (!put.ok) warn(`mapping "${spec.name}" is not open: ${put.error.message}`);
    }
    const wallMs = this.#options.wallMs();
    const kept = rows.map(({ owner, spec, expiresMs }) => ({
      owner,
      spec,
      remainingMs: expiresMs === null ? null : Math.min(expiresMs - wallMs, (spec.lifetimeSec ?? 0) * 1000),
    }));
    const alive: typeof kept = [];
    for (const row of kept) {
      if (row.remainingMs === null || row.remainingMs > 0) alive.push(row);
      // What ended is over, or kept for a peer that may come back for its ports.
      else if (!book.keep(row.spec)) this.#forget(row.owner, row.spec, "expired");
    }
    for (const { spec, error } of book.restore(alive, this.#options.nowMs())) {
      warn(`mapping "${spec.name}" was not restored: ${error.message}`);
      const row = alive.find((one) => one.spec === spec);
      if (row !== undefined) this.#forget(row.owner, spec, "removed");
    }
    return this.#epoch(saved);
  }

  async #epoch(saved: SavedEpoch | null): Promise<ServerEpoch> {
    const [nowMs, wallMs] = [this.#options.nowMs(), this.#options.wallMs()];
    if (saved !== null) return ServerEpoch.restored(saved, nowMs, wallMs);
    const epoch = ServerEpoch.lost(nowMs);
    await this.saveEpoch(epoch);
    return epoch;
  }

  /** After a reset: the next start goes on from here. */
  async saveEpoch(epoch: ServerEpoch): Promise<void> {
    const saved = epoch.save(this.#options.nowMs(), this.#options.wallMs());
    this.#tell(await this.#journal.note({ kind: "epoch", saved }));
  }

  /** All entries that the kernel is to hold. */
  entries(): NatEntry[] {
    return [
      ...[...this.#options.book.list()].flatMap((held) => this.#entriesOf(held)),
      ...this.#options.extraEntries(),
    ];
  }

  #entriesOf(held: HeldMapping): NatEntry[] {
    return this.#options.isOpen(held.spec) ? natEntries(held, this.#options.limits()) : [];
  }

  /** Makes the kernel hold what the book says, by these settings. */
  async replace(settings: NatSettings): Promise<void> {
    const applied = await this.#options.plane.replace(settings, this.entries());
    if (!applied.ok) throw new ControlError("failed", applied.error.message);
  }

  /** Resolves when the kernel and the disk have it; rejects with ControlError `failed` when one of them has not. */
  async carryOut(outcome: MappingOutcome): Promise<void> {
    const { book, nowMs } = this.#options;
    const { forward } = outcome;
    const undo = () => {
      book.undo(outcome, nowMs());
      void this.#sync(outcome);
    };
    const stored = this.#journal.write(this.#changeOf(outcome), undo);
    const opened = outcome.kind === "unchanged" ? null : this.#sync(outcome);
    const [failure, refusal] = await Promise.all([stored, opened]);
    if (failure !== null) throw new ControlError("failed", messageOf(failure));
    if (refusal !== null) {
      undo();
      this.#storePresent(forward);
      throw new ControlError("failed", refusal);
    }
    if (outcome.kind === "added") this.#options.onNews({ event: "opened", held: forward, reason: null });
    else if (outcome.kind === "changed") this.#options.onNews({ event: "changed", held: forward, reason: null });
  }

  /** The disk was told of a change that the kernel refused. */
  #storePresent({ owner, spec }: HeldMapping): void {
    const present = this.#options.book.get(owner.device, spec.id);
    if (present === null) this.#forget(owner, spec, "removed");
    else void this.#journal.note(this.#changeOf({ kind: "added", forward: present })).then((f) => this.#tell(f));
  }

  #changeOf({ kind, forward }: MappingOutcome): MappingChange {
    const { owner, spec } = forward;
    const leftMs = this.#options.book.remainingMs(forward, this.#options.nowMs());
    const expiresMs = leftMs === null ? null : Math.ceil(this.#options.wallMs() + leftMs);
    if (kind === "unchanged") return { kind: "renew", device: owner.device, id: spec.id, expiresMs };
    return { kind: "put", owner, spec, expiresMs };
  }

  /** Brings the kernel's entries of a mapping in line with the book. Null = done, else why not. */
  async #sync(outcome: MappingOutcome): Promise<string | null> {
    const { book, plane } = this.#options;
    const { forward } = outcome;
    const present = book.get(forward.owner.device, forward.spec.id);
    const put = present === null ? [] : this.#entriesOf(present);
    const kept = new Set(put.map(({ id }) => id));
    const before = outcome.kind === "changed" ? [forward, outcome.before] : [forward];
    const remove = before.flatMap(entryIds).filter((id) => !kept.has(id));
    const changed = await plane.change({ put, remove: [...new Set(remove)] });
    return changed.ok ? null : changed.error.message;
  }

  /** Withdraws mappings, in the book at once. Resolves when kernel and disk have it. */
  async remove(held: readonly HeldMapping[], how: "given back" | "forgotten"): Promise<void> {
    const { book } = this.#options;
    const removed = held.filter((one) => book.remove(one));
    // What people remove is nobody's; what a client gives back it may want again.
    if (how === "forgotten") for (const one of removed) book.forget(one);
    await this.#withdraw(removed, "removed");
  }

  /** Ends the leases that ran out. */
  async expire(): Promise<void> {
    await this.#withdraw(this.#options.book.expire(this.#options.nowMs()), "expired");
  }

  async #withdraw(gone: readonly HeldMapping[], reason: "removed" | "expired"): Promise<void> {
    if (gone.length === 0) return;
    const remove = gone.flatMap(entryIds);
    for (const { owner, spec } of gone) this.#forget(owner, spec, reason);
    const changed = await this.#options.plane.change({ put: [], remove });
    if (!changed.ok) this.#options.warn(`a port could not be closed at once: ${changed.error.message}`);
    for (const held of gone) this.#options.onNews({ event: "closed", held, reason });
    await this.#journal.settled();
  }

  /** Stores what is true in any case; a disk that does not take it is told. */
  #forget(owner: Owner, spec: MappingSpec, how: "removed" | "expired"): void {
    // What the configuration makes is not in the store.
    if (spec.origin === "config") return;
    const kept = this.#options.book.isKept(spec);
    const note = this.#journal.note({ kind: "remove", device: owner.device, id: spec.id, how, kept });
    void note.then((failure) => this.#tell(failure));
  }

  #tell(failure: JournalFailure<never> | null): void {
    if (failure !== null) this.#options.warn(`a change could not be stored: ${messageOf(failure)}`);
  }

  /**
   * Makes the operator's mappings of one origin exactly these: those that stay are not touched. Returns what was done,
   * by name, and a sentence for each that could not be.
   */
  async setFixed(
    specs: readonly MappingSpec[],
    origin: "config",
  ): Promise<{ added: string[]; changed: string[]; removed: string[]; refused: string[] }> {
    const { book, nowMs } = this.#options;
    const wanted = new Map(specs.map((spec) => [`${spec.to} ${spec.id}`, spec]));
    const present = book.find(({ spec }) => spec.requester === null && spec.origin === origin);
    const gone = present.filter(({ spec }) => !wanted.has(`${spec.to} ${spec.id}`));
    const report = { added: [], changed: [], removed: gone.map(({ spec }) => spec.name), refused: [] } as {
      added: string[];
      changed: string[];
      removed: string[];
      refused: string[];
    };
    // Their ports are free for those that come.
    await this.remove(gone, "forgotten");
    for (const spec of specs) {
      if (present.some((held) => same(held.spec, spec))) continue;
      const put = book.put(spec, nowMs());
      if (!put.ok) {
        report.refused.push(`mapping "${spec.name}": ${put.error.message}`);
        continue;
      }
      const refusal = await this.#sync(put.value);
      if (refusal !== null) report.refused.push(`mapping "${spec.name}": ${refusal}`);
      (put.value.kind === "added" ? report.added : report.changed).push(spec.name);
      const event = put.value.kind === "added" ? "opened" : "changed";
      this.#options.onNews({ event, held: put.value.forward, reason: null });
    }
    return report;
  }

  usage(): Promise<ReadonlyMap<string, NatUsage>> {
    return this.#options.plane.usage();
  }

  /** Resolves when everything that was decided is stored, or could not be. */
  idle(): Promise<void> {
    return this.#journal.idle();
  }
}

function messageOf(failure: JournalFailure<never>): string {
  return failure.kind === "storage" ? failure.message : "the mapping contradicts another one";
}
